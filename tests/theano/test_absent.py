"""What is not supported raises NotImplementedError that names itself and the nearest supported thing."""

import pytest

import theano.tensor as T
from theano.sandbox import cuda
from theano.sandbox.rng_mrg import MRG_RandomStreams
from theano.tensor.nnet import abstract_conv, conv3d2d, neighbours, nnet
from theano.tensor.nnet.absent import ABSENT
from theano.tensor.signal import pool

MODULES = {"abstract_conv": abstract_conv, "neighbours": neighbours, "nnet": nnet, "pool": pool}
STREAM = MRG_RandomStreams()
REFUSALS = {
    "conv2d .* unshared; .* border_mode": lambda: T.nnet.conv2d(T.tensor4(), T.tensor4(), unshared=True),
    "conv3d .* algorithm; .* border_mode": lambda: T.nnet.conv3d(T.tensor5(), T.tensor5(), algorithm="fft"),
    "conv3d2d.conv3d .* T.nnet.conv3d": lambda: conv3d2d.conv3d(
        T.tensor5(), T.tensor5(), border_mode=("valid", "full", "full")
    ),
    "Pooling with padding .* ignore_border=True": lambda: pool.pool_2d(
        T.tensor4(), (2, 2), ignore_border=False, pad=(1, 1)
    ),
    "Pooling with padding .* T.concatenate": lambda: pool.pool_2d(
        T.tensor4(), (2, 2), ignore_border=True, pad=(2, 2)
    ),
    "MRG_RandomStreams.binomial with n .* integer": lambda: STREAM.binomial((2,), n=T.iscalar()),
    "MRG_RandomStreams.multinomial with size .* pvals": lambda: STREAM.multinomial((2,), pvals=T.matrix()),
    "MRG_RandomStreams.choice .* multinomial": lambda: STREAM.choice(2, p=T.matrix()),
    "dtype int32; draw floats": lambda: STREAM.uniform((2,), dtype="int32"),
    "theano.sandbox.cuda.use.* device=cuda": lambda: cuda.use("gpu"),
}


@pytest.mark.parametrize("name", ABSENT)
def test_functions_that_are_absent_name_themselves_and_what_is_nearest(name):
    module, _, function = name.partition(".")
    assert function in MODULES[module].__all__
    with pytest.raises(NotImplementedError, match=f"{name} .* nearest is ."):
        getattr(MODULES[module], function)(T.matrix(), anything=1)


@pytest.mark.parametrize("message", REFUSALS)
def test_options_that_are_absent_are_refused(message):
    with pytest.raises(NotImplementedError, match=message):
        REFUSALS[message]()
