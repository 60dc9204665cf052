"""Names of Theano 1.0.5 that are not implemented here: each can be imported, and raises when it is called."""

__all__ = ["ABSENT", "nearest", "stand_in"]

# The nearest replacement for what was in a module; the entry with the longest matching name counts.
_NEAREST = {
    "theano": "what pytensor.graph, pytensor.compile and pytensor.link hold",
    "theano.compile.debugmode": 'theano.function(mode="FAST_COMPILE"), to compare with',
    "theano.d3viz": "theano.printing.debugprint or pydotprint",
    "theano.gof": "pytensor.graph and pytensor.link",
    "theano.gof.opt": "pytensor.graph.rewriting.basic",
    "theano.gpuarray": "THEANO_FLAGS=device=cuda, with which JAX runs any function on a GPU",
    "theano.gradient": "theano.grad, theano.Lop and theano.Rop",
    "theano.misc": "PyTensor and JAX, which have tools of their own",
    "theano.sandbox": "theano.tensor and theano.tensor.nnet",
    "theano.scalar": "theano.tensor, or pytensor.scalar",
    "theano.scan_module": "theano.scan, or pytensor.scan",
    "theano.sparse": "pytensor.sparse",
    "theano.tensor": "a function of theano.tensor, or an Op of your own",
    "theano.tensor.nnet": "theano.tensor.nnet.conv2d and its relatives",
    "theano.tensor.opt": "pytensor.tensor.rewriting",
    "theano.tensor.signal": "theano.tensor.signal.pool.pool_2d and pool_3d",
    "theano.tensor.nnet.opt": "pytensor.tensor.rewriting",
}


def nearest(module):
    """The nearest replacement for a module of Theano's, in words."""
    while module not in _NEAREST:
        module = module.rpartition(".")[0]
    return f"nearest is {_NEAREST[module]}"


def stand_in(module, name):
    """A class or function that raises ``NotImplementedError`` when it is called.

    Raises
    ------
    AttributeError
        Theano's module did not have the name.
    """
    kinds = ABSENT.get(module, {})
    kind = next((k for k, names in kinds.items() if name in names), None)
    if kind is None:
        raise AttributeError(f"module {module!r} has no attribute {name!r}")

    def refuse(*args, **kwargs):
        raise NotImplementedError(f"{module}.{name} is not part of this theano; {nearest(module)}")

    refuse.__name__ = refuse.__qualname__ = name
    refuse.__doc__ = f"Not here; {nearest(module)}."
    return type(name, (), {"__new__": refuse, "__doc__": refuse.__doc__}) if kind == "classes" else refuse


# A module, then its classes, then, after a bar, its functions.
_NAMES = """
theano: CLinker Container DualLinker FunctionGraph FunctionMaker Generic InconsistencyError Linker
LocalLinker OpFromGraph OpWiseCLinker OpenMPOp Param PerformLinker ProfileStats SymbolicInput
SymbolicOutput Type change_flags object2 | as_op disable_log_handler function_dump generic
get_scalar_constant_value has_handlers pprint sparse_grad subgraph_grad test

theano.compat: DefaultOrderedDict | cmp decode decode_iter decode_with exc_message
get_unbound_function maybe_add_to_os_environ_pathlist

theano.compile: AddDestroyHandler AddFeatureOptimizer AliasedMemoryError DebugMode DeepCopyOp
DisconnectedType FromFunctionOp FunctionMaker MonitorMode NullType OpFromGraph Param
PrintCurrentFunctionGraph ProfileStats Rebroadcast ScanProfileStats Shape Shape_i SpecifyShape
Supervisor SymbolicInput SymbolicOutput Variable ViewOp | alias_root as_op check_equal
convert_function_input deep_copy_op fgraph_updated_vars function_dump get_default_mode
get_info_on_inputs infer_reuse_pattern insert_deepcopy io_connection_pattern is_same_graph
orig_function pfunc rebuild_collect_shared register_checker register_deep_copy_op_c_code
register_linker register_mode register_optimizer register_rebroadcast_c_code register_shape_c_code
register_shape_i_c_code register_specify_shape_c_code register_view_op_c_code shape
shared_constructor specify_shape std_fgraph view_op view_tree_set

theano.compile.debugmode:  | char_from_number debugprint

theano.compile.function:  | function_dump

theano.compile.function_module: AliasedMemoryError FunctionMaker Supervisor | alias_root check_equal
convert_function_input fgraph_updated_vars get_info_on_inputs infer_reuse_pattern insert_deepcopy
orig_function register_checker std_fgraph view_tree_set

theano.compile.nanguardmode:  | f_compute f_gpua_absmax f_gpua_max f_gpua_min

theano.compile.ops: OutputGuard Rebroadcast Shape Shape_i SpecifyShape | register_rebroadcast_c_code
register_shape_c_code register_shape_i_c_code register_specify_shape_c_code shape shape_i shape_i_op
specify_shape

theano.compile.pfunc:  | iter_over_pairs

theano.compile.profiling: ScanProfileStats |

theano.compile.sandbox:  |

theano.compile.sharedvalue:  | generic_constructor shared_constructor

theano.configdefaults: ContextsParam DeviceParam | check_mkl_openmp default_blas_ldflags
default_compiledir default_compiledirname default_cuda_include default_dnn_base_path
default_dnn_bin_path default_dnn_inc_path default_dnn_lib_path deprecated_gpuarray_sync
filter_base_compiledir filter_compiledir filter_mode filter_vm_lazy floatX_convert get_cuda_root
get_home_dir good_seed_param is_valid_check_preallocated_output_param local_bitwidth
python_int_bitwidth safe_no_dnn_algo_bwd safe_no_dnn_workmem safe_no_dnn_workmem_bwd short_platform
split_version try_blas_flag warn_cxx warn_default

theano.configparser: ConfigParam EnumStr TheanoConfigParser TheanoConfigWarning TypedParam
change_flags | AddConfigVar BoolParam FloatParam IntParam StrParam config_files_from_theanorc
fetch_val_for_key get_config_hash parse_config_string

theano.d3viz:  |

theano.d3viz.d3viz:  | d3viz d3write replace_patterns safe_json

theano.d3viz.formatting: PyDotFormatter | apply_label apply_profile broadcastable_to_str
dict_to_pdnode dtype_to_char type_to_str var_label var_tag

theano.gof: Bookkeeper CEnumType CLinker COp CachedConstantError CheckStackTraceOptimization
Container DB DestroyHandler DualLinker EnumList EnumType EquilibriumDB EquilibriumOptimizer Feature
Generic HideC History InconsistencyError Linker LocalGroupDB LocalLinker LocalOptGroup
LocalOptimizer MergeOptimizer MethodNotDefined MissingInputError NavigatorOptimizer
NoOutputFromInplace NodeFinder OpKeyOptimizer OpRemove OpSub OpWiseCLinker OpenMPOp Optimizer Params
ParamsType PatternSub PerformLinker PrintListener ProxyDB PureOp Query ReplaceValidate
ReplacementDidntRemovedError SeqOptimizer SequenceDB TopoOptimizer Validator WrapLinker object2 |
WrapLinkerMany generic hashtype inplace_optimizer local_optimizer optimizer view_roots

theano.gof.callcache: CallCache |

theano.gof.cc: CLinker CodeBlock DualLinker HideC OpWiseCLinker | apply_policy code_gen failure_code
failure_code_init get_c_cleanup get_c_declare get_c_extract get_c_extract_out get_c_init get_c_sync
get_module_cache get_nothing get_persistent_module_cache struct_gen struct_variable_codeblocks

theano.gof.cmodule: Compiler DynamicModule ExtFunction GCC_compiler KeyData MissingGXX ModuleCache |
debug_counter dlimport dlimport_workdir gcc_llvm gcc_version get_gcc_shared_library_arg
get_lib_extension get_module_cache get_module_hash get_safe_part icc_module_compile_str
is_same_entry last_access_time module_name_from_dir std_include_dirs std_lib_dirs
std_lib_dirs_and_libs std_libs try_march_flag

theano.gof.compiledir:  | basecompiledir_ls basecompiledir_purge cleanup compiledir_purge
print_compiledir_content print_title

theano.gof.compilelock: Unlocker | force_unlock get_lock lock lock_ctx refresh_lock release_lock
set_lock_status

theano.gof.cutils:  | compile_cutils

theano.gof.destroyhandler:  | fast_inplace_check

theano.gof.fg: CachedConstantError |

theano.gof.graph: Node | as_string clone clone_get_equiv default_node_formatter general_toposort
io_connection_pattern io_toposort is_in_ancestors list_of_nodes nodes_constructed op_as_string ops
orphans stack_search variables variables_and_orphans view_roots

theano.gof.lazylinker_c:  | try_import try_reload

theano.gof.link: Container Linker LocalLinker PerformLinker WrapLinker | WrapLinkerMany
add_clear_storage gc_helper log_thunk_trace map_storage raise_with_op streamline thunk_hook

theano.gof.op: CLinkerObject PureOp | apply_meth debug_assert debug_error_message get_debug_values
get_test_value missing_test_message simple_meth

theano.gof.opt: CheckStackTraceOptimization CheckStrackTraceFeature EquilibriumOptimizer
FromFunctionLocalOptimizer FromFunctionOptimizer GraphToGPULocalOptGroup LocalMetaOptimizer
LocalMetaOptimizerSkipAssertionError LocalOptGroup LocalOptimizer NavigatorOptimizer OpKeyOptimizer
OpRemove OpSub Optimizer PatternSub SeqOptimizer TopoOptimizer Updater | check_chain
inherit_stack_trace inplace_optimizer is_same_graph_with_merge local_optimizer optimizer
pre_greedy_local_optimizer

theano.gof.optdb: DB Query |

theano.gof.params_type: Params ParamsType |

theano.gof.sched:  | key_to_cmp make_dependence_cmp make_depends memodict posort reverse_dict
sort_apply_nodes sort_schedule_fn

theano.gof.toolbox: GetCheckpoint LambdExtract NodeFinder PreserveNames PrintListener
ReplacementDidntRemovedError |

theano.gof.type: PureType SingletonType |

theano.gof.unify: BoundVariable FVar FreeVariable NotVariable OrVariable Unification VariableInList
| unify unify_build var_lookup

theano.gof.utils: D Keyword object2 scratchpad | comm_guard deprecated difference flatten
from_return_values give_variables_names hash_from_code hash_from_file hashtype hist memoize remove
to_return_values toposort type_guard uniq unique

theano.gof.vm: CVM Loop LoopGC Stack VM VM_Linker | calculate_reallocate_info

theano.gpuarray:  | init_dev pygpu_parse_version transfer use

theano.gpuarray.basic_ops: CGpuKernelBase GpuAlloc GpuAllocEmpty GpuContiguous GpuEye GpuFromHost
GpuJoin GpuKernelBase GpuReshape GpuSplit GpuToGpu GpuTri HostFromGpu Kernel | as_gpuarray_variable
empty_like forward_string_meth get_ctype get_dtype gpu_contiguous gpu_join gpuarray_helper_inc_dir
host_from_gpu infer_context_name profile_printer

theano.gpuarray.blas: BaseGpuCorr3dMM BaseGpuCorrMM BlasOp GpuCorr3dMM GpuCorr3dMM_gradInputs
GpuCorr3dMM_gradWeights GpuCorrMM GpuCorrMM_gradInputs GpuCorrMM_gradWeights GpuDot22 GpuGemm
GpuGemmBatch GpuGemv GpuGer | gpu_dot22 gpugemm_inplace gpugemm_no_inplace gpugemmbatch_inplace
gpugemmbatch_no_inplace gpugemv_inplace gpugemv_no_inplace gpuger_inplace gpuger_no_inplace

theano.gpuarray.blocksparse: GpuSparseBlockGemv GpuSparseBlockOuter | gpu_sparse_block_gemv
gpu_sparse_block_gemv_inplace gpu_sparse_block_outer gpu_sparse_block_outer_inplace

theano.gpuarray.ctc: GpuConnectionistTemporalClassification | gpu_ctc

theano.gpuarray.cudnn_defs: CuDNNV51 CuDNNV6 CuDNNV7 | get_definitions is_double_config
is_float_config is_pseudo_half_config is_true_half_config

theano.gpuarray.dnn: DnnBase DnnVersion GpuDnnBatchNorm GpuDnnBatchNormGrad GpuDnnBatchNormInference
GpuDnnConv GpuDnnConvDesc GpuDnnConvGradI GpuDnnConvGradW GpuDnnDropoutOp GpuDnnPool GpuDnnPoolBase
GpuDnnPoolDesc GpuDnnPoolGrad GpuDnnRNNGradInputs GpuDnnRNNGradWeights GpuDnnRNNOp GpuDnnReduction
GpuDnnSoftmax GpuDnnSoftmaxBase GpuDnnSoftmaxGrad GpuDnnTransformerGradI GpuDnnTransformerGradT
GpuDnnTransformerGrid GpuDnnTransformerSampler NoCuDNNRaise RNNBlock | CUDNNDataType as_i32
dnn_batch_normalization_test dnn_batch_normalization_train dnn_conv dnn_conv3d dnn_gradinput
dnn_gradinput3d dnn_gradweight dnn_gradweight3d dnn_pool dnn_spatialtf dropout ensure_dt
get_precision local_abstract_batch_norm_inference_cudnn local_abstract_batch_norm_train_cudnn
local_abstract_batch_norm_train_grad_cudnn local_abstractconv3d_cudnn_graph
local_abstractconv_cudnn_graph local_gpua_avg_pool_dnn_grad_stride local_gpua_pool_dnn_alternative
local_gpua_pool_dnn_grad_stride version

theano.gpuarray.elemwise: GpuCAReduce GpuCAReduceCPY GpuCAReduceCuda GpuDimShuffle GpuElemwise
GpuErfcinv GpuErfinv SupportCodeError | as_C_string_const get_scal gpu_ca_reduce_cuda gpu_erfcinv
gpu_erfinv make_argument max_inputs_to_GpuElemwise

theano.gpuarray.extra_ops: GpuCumOp GpuCumsumOp |

theano.gpuarray.fft: CuIRFFTOp CuRFFTOp | cuirfft cuirfft_op curfft curfft_op

theano.gpuarray.fp16_help:  | load_w work_dtype write_w

theano.gpuarray.kernel_codegen:  | code_version inline_reduce inline_reduce_fixed_shared
inline_reduce_fixed_shared_max inline_reduce_max inline_reduce_min inline_reduce_prod
inline_reduce_sum inline_softmax inline_softmax_fixed_shared nvcc_kernel

theano.gpuarray.linalg: GpuCholesky GpuCublasTriangularSolve GpuCusolverSolve GpuMagmaBase
GpuMagmaCholesky GpuMagmaEigh GpuMagmaMatrixInverse GpuMagmaQR GpuMagmaSVD |
attach_cublas_handle_to_context attach_cusolver_handle_to_context gpu_cholesky gpu_matrix_inverse
gpu_qr gpu_solve gpu_solve_lower_triangular gpu_solve_upper_triangular gpu_svd

theano.gpuarray.multinomial: GPUAChoiceFromUniform GPUAMultinomialFromUniform
GPUAMultinomialWOReplacementFromUniform |

theano.gpuarray.neighbours: GpuImages2Neibs |

theano.gpuarray.nnet: GpuCrossentropySoftmax1HotWithBiasDx GpuCrossentropySoftmaxArgmax1HotWithBias
GpuSoftmax GpuSoftmaxWithBias | gpu_crossentropy_softmax_1hot_with_bias_dx
gpu_crossentropy_softmax_argmax_1hot_with_bias gpu_softmax gpu_softmax_with_bias

theano.gpuarray.opt: ConvMetaOptimizer GraphToGPU GraphToGPUDB InputToGpuOptimizer |
gpu_print_wrapper gpu_reconstruct_graph gpu_safe_new local_gpu_average_pool_grad local_gpu_cholesky
local_gpu_magma_cholesky local_gpu_max_pool_grad local_gpu_pool
local_gpua_advanced_boolean_incsubtensor local_gpua_advanced_incsubtensor local_gpua_assert_graph
local_gpua_lift_abstractconv_graph local_gpua_shape_graph local_gpua_specifyShape_graph
local_gpua_subtensor_graph op_lifter register_inplace register_opt register_opt2 safe_to_cpu
safe_to_gpu split_inputs tensor_to_gpu

theano.gpuarray.opt_util:  | alpha_merge find_node grab_cpu_scalar inplace_allocempty is_equal
output_merge pad_dims unpad_dims

theano.gpuarray.pool: GpuAveragePoolGrad GpuDownsampleFactorMaxGradGrad GpuMaxPoolGrad GpuMaxPoolRop
GpuPool |

theano.gpuarray.reduction: GpuMaxAndArgmax |

theano.gpuarray.rng_mrg: GPUA_mrg_uniform | local_gpua_mrg_graph

theano.gpuarray.sort: GpuTopKOp ValuesEqApproxNoOrder |

theano.gpuarray.subtensor: BaseGpuAdvancedIncSubtensor BaseGpuAdvancedSubtensor
GpuAdvancedBooleanIncSubtensor GpuAdvancedBooleanSubtensor GpuAdvancedIncSubtensor
GpuAdvancedIncSubtensor1 GpuAdvancedIncSubtensor1_dev20 GpuAdvancedSubtensor GpuAdvancedSubtensor1
GpuAllocDiag GpuExtractDiag GpuIncSubtensor GpuSubtensor | check_and_convert_boolean_masks get_iadd

theano.gpuarray.type: ContextNotDefined GpuArrayConstant GpuArraySharedVariable GpuArraySignature
GpuArrayType GpuArrayVariable GpuContextType | GpuArray_pickler GpuArray_unpickler get_context
gpu_context_type gpu_supported gpuarray_shared_constructor list_contexts move_to_gpu reg_context
values_eq_approx values_eq_approx_remove_inf values_eq_approx_remove_inf_nan
values_eq_approx_remove_nan

theano.gradient: ConsiderConstant DisconnectedGrad GradClip GradScale GradientError UndefinedGrad
ZeroGrad numeric_grad | consider_constant_ disconnected_grad_ disconnected_type format_as
mode_not_slow subgraph_grad undefined_grad undefined_grad_ zero_grad_

theano.ifelse: CondMerge IfElse |

theano.misc.buildbot_filter:  | filter_output

theano.misc.burn_gpu:  | burn

theano.misc.check_blas:  | execute jobman_job test

theano.misc.check_multi_gpu:  | main

theano.misc.cpucount:  | cpuCount

theano.misc.doubleop: DoubleOp |

theano.misc.elemwise_openmp_speedup:  | runScript

theano.misc.elemwise_time_test:  | ElemwiseOpTime evalTime

theano.misc.frozendict: FrozenOrderedDict frozendict |

theano.misc.latence_gpu_transfert:  |

theano.misc.may_share_memory:  | may_share_memory

theano.misc.ordered_set: Link | check_deterministic

theano.misc.pkl_utils: CompatUnpickler PersistentGpuArrayID PersistentNdarrayID
PersistentNdarrayLoad PersistentSharedVariableID | dump load load_reduce zipadd

theano.misc.safe_asarray:  |

theano.misc.strutil:  | pretty_format render_string strip_leading_white_space

theano.misc.windows:  | call_subprocess_Popen output_subprocess_Popen subprocess_Popen

theano.pathparse: PathParser |

theano.printing: DefaultPrinter FunctionPrinter IgnorePrinter LeafPrinter OperatorPrinter PPrinter
PatternPrinter PrinterState | hex_digest min_informative_str position_independent_str pprint
var_descriptor

theano.raise_op: Raise |

theano.sandbox.blocksparse:  |

theano.sandbox.conv:  |

theano.sandbox.fourier: FFT GradTodo | dct_matrix fft grad_todo half_fft half_ifft ifft

theano.sandbox.linalg:  |

theano.sandbox.linalg.ops: Hint HintsFeature HintsOptimizer | hints is_hint_node is_positive is_psd
is_symmetric psd spectral_radius_bound

theano.sandbox.minimal: Minimal T_minimal | minimal

theano.sandbox.multinomial: ChoiceFromUniform MultinomialFromUniform
MultinomialWOReplacementFromUniform |

theano.sandbox.neighbours:  |

theano.sandbox.rng_mrg: DotModulo mrg_uniform mrg_uniform_base | ff_2p134 ff_2p72 guess_n_streams
matVecModM mrg_next_value multMatVect

theano.sandbox.softsign:  |

theano.sandbox.solve:  |

theano.scalar: Angle Chi2SF ComplexFromPolar Compositef32 Deg2Rad DisconnectedType FunctionGraph
GammaL GammaU InRange Inv Iv Rad2Deg Scalar Sgn Type transfer_type unary_out_lookup | abs_ angle
as_common_dtype chi2sf complex_from_polar deg2rad div_proxy float_out_nocomplex gammal gammau
handle_cast handle_composite inclosedrange inopenrange int_or_true_div int_out_nocomplex inv iv
rad2deg sgn

theano.scalar.basic: Angle ComplexFromPolar Compositef32 Deg2Rad InRange Inv Rad2Deg Scalar Sgn
transfer_type unary_out_lookup | abs_ angle as_common_dtype complex_from_polar deg2rad div_proxy
float_out_nocomplex handle_cast handle_composite inclosedrange inopenrange int_or_true_div
int_out_nocomplex inv rad2deg sgn

theano.scalar.basic_scipy: Chi2SF GammaL GammaU Iv | chi2sf gammal gammau iv

theano.scalar.basic_sympy: SymPyCCode | include_line sympy_dtype theano_dtype

theano.scan_module:  | clone

theano.scan_module.scan_opt: PushOutDot1 PushOutNonSeqScan PushOutScanOutput PushOutSeqScan
ScanSaveMem | has_duplicates info make_equiv warning

theano.scan_module.scan_perform_ext:  | try_import try_reload

theano.scan_module.scan_utils: Validator scan_args | clone compress_outs expand_empty forced_replace
get_updates_and_outputs hash_listsDictsTuples infer_shape isNaN_or_Inf_or_None map_variables
reconstruct_graph safe_new scan_can_remove_outs traverse

theano.sparse: AddSD AddSS AddSSData EqualSD EqualSS GreaterEqualSD GreaterEqualSS GreaterThanSD
GreaterThanSS LessEqualSD LessEqualSS LessThanSD LessThanSS MulSD MulSS MulSV Neg NotEqualSD
NotEqualSS SquareDiagonal
StructuredAddSV | constant hash_from_sparse structured_monoid

theano.sparse.basic: AddSD AddSS AddSSData EqualSD EqualSS GreaterEqualSD GreaterEqualSS
GreaterThanSD GreaterThanSS LessEqualSD LessEqualSS LessThanSD LessThanSS MulSD MulSS MulSV Neg
NotEqualSD NotEqualSS SquareDiagonal
StructuredAddSV | constant structured_monoid

theano.sparse.opt: AddSD_ccode CSMGradC MulSDCSC MulSDCSR MulSVCSR SamplingDotCSR StructuredAddSVCSR
StructuredDotCSC StructuredDotCSR UsmmCscDense | csm_grad_c mul_s_d_csc mul_s_d_csr mul_s_v_csr
sampling_dot_csr sd_csc sd_csr structured_add_s_v_csr usmm_csc_dense usmm_csc_dense_inplace

theano.sparse.sandbox:  |

theano.sparse.sandbox.sp: ConvolutionIndices | convolution_indices convolve max_pool
register_specialize

theano.sparse.sandbox.sp2: Binomial Multinomial Poisson | csc_dbinomial csc_fbinomial csr_dbinomial
csr_fbinomial multinomial poisson

theano.sparse.sandbox.test_sp: TestSP |

theano.sparse.sandbox.truedot:  |

theano.tensor: ARange AdvancedBooleanIncSubtensor AdvancedBooleanIndexingError
AdvancedBooleanSubtensor AdvancedIncSubtensor AdvancedIncSubtensor1 AdvancedIndexingError
AdvancedSubtensor AdvancedSubtensor1 Alloc AllocDiag AllocEmpty Apply Argmax AsTensorError
BaseAdvancedIncSubtensor BaseAdvancedSubtensor CAReduce Choose Default DiffOp DisconnectedType Dot
EmptyConstantError ExtractDiag Eye Flatten Generic IncSubtensor Join LoadFromDisk MPIRecv
MPIRecvWait MPISend MPISendWait MakeSlice MaxAndArgmax Mean MethodNotDefined NoneTypeT Nonzero
ParamsType PermuteRowElements Rebroadcast Reshape ScalarFromTensor Shape ShapeError SliceConstant
SliceType SpecifyShape Split SubtensorPrinter Sum Tensor TensorConstantSignature TensorFromScalar
Tile Tri Type numeric_grad | adv_index_broadcastable_pattern advanced_boolean_inc_subtensor
advanced_boolean_set_subtensor advanced_boolean_subtensor advanced_inc_subtensor
advanced_inc_subtensor1 advanced_set_subtensor advanced_set_subtensor1 advanced_subtensor
advanced_subtensor1 alloc_validate_shape argtopk as_index_variable as_int_none_variable
check_advanced_indexing_dimensions check_and_normalize_axes check_and_reject_bool
check_equal_numpy consider_constant constructor default div_proxy extract_constant
get_canonical_form_slice get_idx_list grad_not_implemented grad_undefined hashtype inc_code int32
int32_t irecv isend join_ key_to_cmp load makeKeepDims make_constant min_informative_str mod_check
mpi_send_wait_cmp mpi_send_wait_key mpi_tag_cmp mpi_tag_key numpy_scalar pprint recv
register_transfer send setdefault topk topk_and_argtopk wmatrix

theano.tensor.basic: Default EmptyConstantError Flatten MaxAndArgmax Mean ShapeError Tile Tri |
alloc_validate_shape check_and_normalize_axes check_equal_numpy
constructor default div_proxy join_ numpy_scalar patternbroadcast setdefault unbroadcast

theano.tensor.blas: GemmOptimizer Ger | check_init_y ger ger_destructive res_is_a

theano.tensor.blas_c: BaseBLAS CGemv CGer | cgemv_inplace cgemv_no_inplace cger_inplace
cger_no_inplace check_force_gemv_init gemv_c_code ger_c_code

theano.tensor.blas_headers:  | blas_header_text blas_header_version cblas_header_text
detect_macos_sdot_bug mkl_threads_text openblas_threads_text

theano.tensor.blas_scipy: ScipyGer | scipy_ger_inplace scipy_ger_no_inplace

theano.tensor.elemwise: CAReduceDtype |

theano.tensor.elemwise_cgen:  | make_alloc make_checks make_declare make_loop make_loop_careduce
make_reordered_loop

theano.tensor.extra_ops: CumprodOp CumsumOp DiffOp RepeatOp |

theano.tensor.inc_code:  | inc_code

theano.tensor.inplace:  | abs__inplace add_inplace and__inplace arccos_inplace arccosh_inplace
arcsin_inplace arcsinh_inplace arctan2_inplace arctan_inplace arctanh_inplace ceil_inplace
chi2sf_inplace conj_inplace cos_inplace cosh_inplace deg2rad_inplace eq_inplace erf_inplace
erfc_inplace erfcx_inplace exp2_inplace exp_inplace expm1_inplace fill_inplace floor_inplace
gamma_inplace gammaln_inplace ge_inplace gt_inplace i0_inplace i1_inplace int_div_inplace
inv_inplace invert_inplace iv_inplace j0_inplace j1_inplace jv_inplace le_inplace log10_inplace
log1p_inplace log2_inplace log_inplace lt_inplace maximum_inplace minimum_inplace mod_inplace
mul_inplace neg_inplace neq_inplace or__inplace pow_inplace psi_inplace rad2deg_inplace
round_half_away_from_zero_inplace round_half_to_even_inplace second_inplace sgn_inplace sin_inplace
sinh_inplace sqr_inplace sqrt_inplace sub_inplace tan_inplace tanh_inplace transpose_inplace
tri_gamma_inplace true_div_inplace trunc_inplace xor_inplace

theano.tensor.io: LoadFromDisk MPIRecv MPIRecvWait MPISend MPISendWait | irecv isend load
mpi_send_wait_key mpi_tag_key recv send

theano.tensor.nlinalg: AllocDiag EighGrad QRFull QRIncomplete | alloc_diag diag

theano.tensor.nnet: ConvOp CrossentropyCategorical1Hot CrossentropyCategorical1HotGrad
CrossentropySoftmax1HotWithBiasDx CrossentropySoftmaxArgmax1HotWithBias LogSoftmax
Prepend_scalar_constant_to_each_row Prepend_scalar_to_each_row Softmax SoftmaxGrad SoftmaxWithBias |
abstract_conv2d conv2d_transpose crossentropy_categorical_1hot_grad
crossentropy_softmax_1hot_with_bias_dx crossentropy_to_crossentropy_with_softmax
crossentropy_to_crossentropy_with_softmax_with_bias logsoftmax_op prepend_0_to_each_row
prepend_1_to_each_row prepend_scalar_to_each_row scalar_sigmoid sigmoid_inplace softmax_grad
softmax_graph softmax_op softmax_simplifier

theano.tensor.nnet.abstract_conv: AbstractConv AbstractConv2d AbstractConv3d AbstractConv_gradInputs
AbstractConv_gradWeights BaseAbstractConv | assert_conv_shape assert_shape bilinear_kernel_1D
bilinear_kernel_2D border_mode_to_pad check_conv_gradinputs_shape frac_bilinear_upsampling
get_conv_gradinputs_shape get_conv_gradinputs_shape_1axis get_conv_gradweights_shape
get_conv_gradweights_shape_1axis get_conv_output_shape get_conv_shape_1axis

theano.tensor.nnet.blocksparse: SparseBlockGemv SparseBlockOuter | sparse_block_dot
sparse_block_gemv sparse_block_gemv_inplace sparse_block_outer sparse_block_outer_inplace

theano.tensor.nnet.bn: AbstractBatchNormInference AbstractBatchNormTrain AbstractBatchNormTrainGrad
BNComposite |

theano.tensor.nnet.conv: ConvOp | gen_conv_code_unroll_batch_kern

theano.tensor.nnet.conv3d2d: DiagonalSubtensor IncDiagonalSubtensor | diagonal_subtensor
get_diagonal_subtensor_view inc_diagonal_subtensor

theano.tensor.nnet.corr: BaseCorrMM CorrMM CorrMM_gradInputs CorrMM_gradWeights |

theano.tensor.nnet.corr3d: BaseCorr3dMM Corr3dMM Corr3dMM_gradInputs Corr3dMM_gradWeights |

theano.tensor.nnet.ctc: ConnectionistTemporalClassification | ctc_available ctc_present

theano.tensor.nnet.neighbours: Images2Neibs |

theano.tensor.nnet.nnet: CrossentropyCategorical1Hot CrossentropyCategorical1HotGrad
CrossentropySoftmax1HotWithBiasDx CrossentropySoftmaxArgmax1HotWithBias LogSoftmax
Prepend_scalar_constant_to_each_row Prepend_scalar_to_each_row ScalarSoftsign Softmax SoftmaxGrad
SoftmaxWithBias | crossentropy_categorical_1hot_grad crossentropy_softmax_1hot_with_bias_dx
logsoftmax_op prepend_0_to_each_row prepend_1_to_each_row prepend_scalar_to_each_row scalar_softsign
softmax_grad softmax_graph softmax_op softmax_simplifier

theano.tensor.nnet.opt:  |

theano.tensor.nnet.sigm: ScalarSigmoid ScalarSoftplus UltraFastScalarSigmoid | compute_mul
hard_sigmoid is_1pexp is_exp is_mul is_neg parse_mul_tree partition_num_or_denom
perform_sigm_times_exp replace_leaf scalar_sigmoid scalar_softplus simplify_mul
ultra_fast_scalar_sigmoid

theano.tensor.opt: Canonizer FusionOptimizer InplaceElemwiseOptimizer MakeVectorPrinter |
apply_local_dimshuffle_lift apply_rebroadcast_opt assert_ broadcast_like elemwise_max_input_fct
encompasses_broadcastable get_clients get_clients2 inplace_elemwise_optimizer is_dimshuffle_useless
is_inverse_pair local_add_mul_fusion local_elemwise_alloc_op local_elemwise_fusion
local_elemwise_fusion_op make_vector merge_broadcastables merge_two_slices
register_specialize_device

theano.tensor.opt_uncanonicalize:  |

theano.tensor.raw_random: RandomFunction RandomStateType RandomStreamsBase | choice_helper
multinomial_helper permutation_helper random_integers random_integers_helper random_state_type

theano.tensor.shared_randomstreams: RandomStateSharedVariable | randomstate_constructor

theano.tensor.signal.pool: AveragePoolGrad DownsampleFactorMaxGradGrad MaxPoolGrad MaxPoolRop |

theano.tensor.slinalg: CholeskyGrad EigvalshGrad ExpmGrad | solve_lower_triangular solve_symmetric
solve_upper_triangular

theano.tensor.sort: TopKOp | argtopk topk topk_and_argtopk

theano.tensor.subtensor: AdvancedBooleanIncSubtensor AdvancedBooleanIndexingError
AdvancedBooleanSubtensor AdvancedIncSubtensor1 AdvancedIndexingError AdvancedSubtensor1
BaseAdvancedIncSubtensor BaseAdvancedSubtensor | adv_index_broadcastable_pattern
advanced_boolean_inc_subtensor advanced_boolean_set_subtensor advanced_boolean_subtensor
as_index_variable check_advanced_indexing_dimensions check_and_reject_bool make_constant

theano.tensor.var: AsTensorError | equal_slices

theano.tensor.xlogx: XlogX XlogY0 | scalar_xlogx scalar_xlogy0

theano.typed_list.opt:  |
"""


def _parsed(text):
    found = {}
    for block in text.strip().split("\n\n"):
        module, _, names = block.partition(":")
        classes, _, functions = names.partition("|")
        found[module] = {"classes": frozenset(classes.split()), "functions": frozenset(functions.split())}
    return found


ABSENT = _parsed(_NAMES)
