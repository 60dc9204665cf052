"""Register tiles and bit masks in LLVM's vectors, for kernels: what Numba's loops do not vectorize well.

A tile is the inner loop of a matrix product: a few rows of the input against ``BLOCK`` outputs, whose weights
lie beside each other, so that one vector holds as many outputs and no sum across a vector is ever needed.
LLVM turns the vectors into what the processor has, such as ``vpopcntq`` on 512 bits.

Nothing here checks bounds; who calls has laid out the arrays.
"""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.registry import cpu_target
from numba.extending import intrinsic

__all__ = [
    "BLOCK",
    "PAIR_BLOCK",
    "TILE",
    "multiplies_pairs",
    "pack_at_most",
    "pack_nonnegative",
    "pack_positive",
    "pair_tile",
    "tile",
]

# Outputs of a tile, and of a tile of pairs.
BLOCK = 32
PAIR_BLOCK = 64

INT16, INT32, INT64 = (ir.IntType(bits) for bits in (16, 32, 64))


def _has(feature):
    """Whether Numba compiles for a feature, of which its settings may leave fewer than the processor has."""
    *_, features = cpu_target.target_context.codegen().magic_tuple()
    return f"+{feature}" in features.split(",")


def _rows():
    """Input rows of a tile: as many as leave all sums in registers."""
    return 4 if _has("avx512f") else 1


def multiplies_pairs():
    """Whether the processor has the instruction that ``pair_tile`` is made of."""
    return _has("avx512vnni") and _has("avx512bw")


# Rows of the input that the kernels give to a tile, where they have as many.
TILE = _rows()


@intrinsic
def tile(typing_context, x, firsts, runs, length, apart, w, w_first, sums, sums_first, sums_apart):
    """Sums over the elements of a few rows of the input and of a block of weights.

    The type of the arrays decides what is summed: differing bits of uint64 words as int32, or products of
    int16 numbers as int32 or int64.

    Parameters
    ----------
    x : uint64 or int16 array
    firsts : tuple of int
        First element of each row in the flat ``x``.
    runs, length, apart : int
        A row is so many runs of that length, at least one of each, whose beginnings lie ``apart``.
    w : array of the type of ``x``
        ``BLOCK`` weights for each element of a row, beginning at the flat ``w_first``.
    w_first : int
    sums : int32 or int64 array
        ``BLOCK`` sums of each row, at the flat ``sums_first`` and every ``sums_apart`` from there.
    sums_first, sums_apart : int
    """
    lanes, grow, step = {
        (types.uint64, types.int32): (8, INT64, _count_differences),
        (types.int16, types.int32): (16, INT32, _multiply_add),
        (types.int16, types.int64): (8, INT64, _multiply_add),
    }[x.dtype, sums.dtype]

    def generate(context, builder, signature, arguments):
        x_data, w_data, sums_data = (
            context.make_array(signature.args[i])(context, builder, arguments[i]).data for i in (0, 5, 7)
        )
        firsts, *shape = arguments[1:5]
        firsts = [builder.extract_value(firsts, i) for i in range(signature.args[1].count)]
        pointers = [builder.gep(x_data, [first]) for first in firsts]
        block = builder.gep(w_data, [arguments[6]])
        block = builder.bitcast(block, ir.VectorType(block.type.pointee, lanes).as_pointer())
        totals = _accumulate(builder, pointers, shape, block, ir.VectorType(grow, lanes), step)
        written = ir.VectorType(sums_data.type.pointee, lanes)
        for row, vectors in enumerate(totals):
            for v, total in enumerate(vectors):
                total = total if total.type == written else builder.trunc(total, written)
                place = builder.mul(arguments[9], INT64(row))
                place = builder.add(builder.add(place, arguments[8]), INT64(v * lanes))
                pointer = builder.gep(sums_data, [place])
                builder.store(total, builder.bitcast(pointer, written.as_pointer()), align=4)
        return context.get_dummy_value()

    integers = [types.intp] * 3
    return types.void(x, firsts, *integers, w, types.intp, sums, types.intp, types.intp), generate


def _accumulate(builder, rows, shape, block, kind, step, outputs=BLOCK, stride=None):
    """Two nested loops, over runs and over a run's elements; returns each row's sums as vectors."""
    runs, length, apart = shape
    count = outputs // kind.count
    start = builder.block
    run, element, run_end, end = (
        builder.append_basic_block(name) for name in ("run", "el", "run_end", "end")
    )
    zeros = [ir.Constant(kind, [0] * kind.count)] * (len(rows) * count)
    builder.branch(run)
    outer = _enter(builder, run, start, [INT64(0), block, *zeros])
    skipped = builder.mul(outer[0], apart)
    pointers = [builder.gep(row, [skipped]) for row in rows]
    builder.branch(element)

    inner = _enter(builder, element, run, [INT64(0), *outer[1:]])
    k, place, *sums = inner
    weights = [builder.load(builder.gep(place, [INT64(v)]), align=2) for v in range(count)]
    at = k if stride is None else builder.mul(k, stride)
    inputs = [_splat(builder, builder.load(builder.gep(p, [at])), kind.count) for p in pointers]
    pairs = [(x, w) for x in inputs for w in weights]
    sums = [step(builder, total, *pair) for total, pair in zip(sums, pairs, strict=True)]
    place, k = builder.gep(place, [INT64(count)]), builder.add(k, INT64(1))
    _leave(builder, element, inner, [k, place, *sums], builder.icmp_signed("<", k, length), run_end)
    i = builder.add(outer[0], INT64(1))
    _leave(builder, run, outer, [i, place, *sums], builder.icmp_signed("<", i, runs), end)
    return [sums[i : i + count] for i in range(0, len(sums), count)]


def _enter(builder, block, before, values):
    """Begin a loop's block; returns its variables, which begin with ``values``."""
    builder.position_at_end(block)
    variables = [builder.phi(value.type) for value in values]
    for variable, value in zip(variables, values, strict=True):
        variable.add_incoming(value, before)
    return variables


def _leave(builder, block, variables, values, again, after):
    """Go back to a loop's block with new values of its variables while ``again``, else on to ``after``."""
    for variable, value in zip(variables, values, strict=True):
        variable.add_incoming(value, builder.block)
    builder.cbranch(again, block, after)
    builder.position_at_end(after)


def _splat(builder, value, lanes):
    """A vector of ``lanes`` times the value."""
    undefined = ir.Constant(ir.VectorType(value.type, lanes), ir.Undefined)
    single = builder.insert_element(undefined, value, INT32(0))
    return builder.shuffle_vector(single, undefined, ir.Constant(ir.VectorType(INT32, lanes), [0] * lanes))


def _count_differences(builder, total, signs, weights):
    kind = total.type
    signature = ir.FunctionType(kind, [kind])
    name = f"llvm.ctpop.v{kind.count}i{kind.element.width}"
    count = cgutils.get_or_insert_function(builder.module, signature, name)
    return builder.add(total, builder.call(count, [builder.xor(signs, weights)]))


def _multiply_add(builder, total, x, weights):
    x, weights = (builder.sext(value, total.type) for value in (x, weights))
    return builder.add(total, builder.mul(x, weights))


@intrinsic
def pack_nonnegative(typing_context, n, first):
    """``n >= 0`` for 64 int16 from the flat ``first`` on, as bits of a word, the first number's lowest."""

    def generate(context, builder, signature, arguments):
        numbers = _load_64(context, builder, signature.args[0], *arguments)
        return builder.bitcast(builder.icmp_signed(">=", numbers, ir.Constant(numbers.type, [0] * 64)), INT64)

    return types.uint64(n, types.intp), generate


@intrinsic
def pack_positive(typing_context, n, first):
    """``n > 0`` for 64 int8, as :func:`pack_nonnegative`."""

    def generate(context, builder, signature, arguments):
        numbers = _load_64(context, builder, signature.args[0], *arguments, align=1)
        return builder.bitcast(builder.icmp_signed(">", numbers, ir.Constant(numbers.type, [0] * 64)), INT64)

    return types.uint64(n, types.intp), generate


@intrinsic
def pack_at_most(typing_context, n, first, limits, limits_first):
    """``n <= limits`` for 64 int32 of each, as the bits of a word, the first pair's lowest."""

    def generate(context, builder, signature, arguments):
        numbers = _load_64(context, builder, signature.args[0], *arguments[:2])
        bounds = _load_64(context, builder, signature.args[2], *arguments[2:])
        return builder.bitcast(builder.icmp_signed("<=", numbers, bounds), INT64)

    return types.uint64(n, types.intp, limits, types.intp), generate


def _load_64(context, builder, kind, array, first, align=2):
    data = context.make_array(kind)(context, builder, array).data
    pointer = builder.gep(data, [first])
    return builder.load(
        builder.bitcast(pointer, ir.VectorType(data.type.pointee, 64).as_pointer()), align=align
    )


@intrinsic
def pair_tile(typing_context, x, firsts, step, shape, w, w_first, scale, sums, sums_first, sums_apart):
    """Add ``scale`` times sums of products of pairs, of a few rows of the input and ``PAIR_BLOCK`` outputs.

    An element is two int16 in an int32; the product of two elements is the sum of both numbers' products. It
    needs :func:`multiplies_pairs`.

    Parameters
    ----------
    x : int32 array
    firsts : tuple of int
        First element of each row in the flat ``x``.
    step : int
        From one element of a row to the next.
    shape : tuple of int
        ``(runs, length, apart)``: a row is so many runs of that length, at least one of each, whose
        beginnings lie ``apart``.
    w : int32 array
        ``PAIR_BLOCK`` elements for each element of a row, beginning at the flat ``w_first``.
    w_first : int
    scale : float32
    sums : float32 array
        ``PAIR_BLOCK`` sums of each row, at the flat ``sums_first`` and every ``sums_apart`` from there.
    sums_first, sums_apart : int
    """
    kind = ir.VectorType(INT32, 16)

    def generate(context, builder, signature, arguments):
        x_data, w_data, sums_data = (
            context.make_array(signature.args[i])(context, builder, arguments[i]).data for i in (0, 4, 7)
        )
        firsts, step, shape = arguments[1:4]
        firsts = [builder.extract_value(firsts, i) for i in range(signature.args[1].count)]
        shape = [builder.extract_value(shape, i) for i in range(3)]
        pointers = [builder.gep(x_data, [first]) for first in firsts]
        block = builder.bitcast(builder.gep(w_data, [arguments[5]]), kind.as_pointer())
        totals = _accumulate(builder, pointers, shape, block, kind, _multiply_add_pairs, PAIR_BLOCK, step)
        real = ir.VectorType(sums_data.type.pointee, kind.count)
        scale = _splat(builder, arguments[6], kind.count)
        for row, vectors in enumerate(totals):
            for v, total in enumerate(vectors):
                place = builder.add(builder.mul(arguments[9], INT64(row)), INT64(v * kind.count))
                pointer = builder.gep(sums_data, [builder.add(place, arguments[8])])
                pointer = builder.bitcast(pointer, real.as_pointer())
                scaled = builder.fmul(builder.sitofp(total, real), scale)
                builder.store(builder.fadd(builder.load(pointer, align=4), scaled), pointer, align=4)
        return context.get_dummy_value()

    integer = types.intp
    shape = types.UniTuple(integer, 3)
    return types.void(x, firsts, integer, shape, w, integer, types.float32, sums, integer, integer), generate


def _multiply_add_pairs(builder, total, x, weights):
    numbers = ir.VectorType(INT16, 2 * total.type.count)
    signature = ir.FunctionType(total.type, [numbers, numbers])
    multiply = cgutils.get_or_insert_function(builder.module, signature, "llvm.x86.avx512.pmaddw.d.512")
    pairs = [builder.bitcast(value, numbers) for value in (x, weights)]
    return builder.add(total, builder.call(multiply, pairs))
