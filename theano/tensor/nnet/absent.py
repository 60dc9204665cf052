"""Functions of Theano's that are not written here: each says so when it is called, and what comes nearest."""

__all__ = ["ABSENT", "absent"]

ABSENT = {
    "abstract_conv.bilinear_upsampling": "conv2d_grad_wrt_inputs with a bilinear filter",
    "abstract_conv.causal_conv1d": "conv2d on an input padded in front",
    "abstract_conv.separable_conv2d": "conv2d with num_groups, then conv2d with filters of 1 x 1",
    "abstract_conv.separable_conv3d": "conv3d with num_groups, then conv3d with filters of 1 x 1 x 1",
    "nnet.sparse_block_dot": "T.batched_dot of the blocks that are not zero",
    "nnet.ctc": "optax.ctc_loss on JAX",
    "neighbours.images2neibs": "slices of the images, joined by T.stack",
    "neighbours.neibs2images": "T.reshape and dimshuffle",
    "pool.max_pool_2d_same_size": "the gradient of pool_2d times the input",
}


def absent(name):
    """The function of that name in ``ABSENT``: it raises ``NotImplementedError`` whatever it is given."""

    def refuse(*args, **kwargs):
        raise NotImplementedError(f"{name} is not part of this theano; nearest is {ABSENT[name]}")

    refuse.__name__ = refuse.__qualname__ = name.rpartition(".")[2]
    refuse.__doc__ = f"Not written here; nearest is {ABSENT[name]}."
    return refuse
