"""Theano's older convolution of volumes against SciPy, in both modes."""

import numpy as np
import pytest
import scipy.signal

import theano
import theano.tensor as T
from theano.tensor.nnet.conv3d2d import conv3d

pytestmark = pytest.mark.filterwarnings("error:.*JAX cannot")


@pytest.mark.parametrize("mode", ["JAX", "FAST_COMPILE"])
@pytest.mark.parametrize("border_mode", ["valid", "full", ("valid",) * 3], ids=str)
def test_it_convolves_time_rows_and_columns_and_sums_over_channels(mode, border_mode):
    random = np.random.default_rng(0)
    signals, filters = random.normal(size=(2, 5, 3, 4, 6)), random.normal(size=(2, 2, 3, 3, 2))
    x, w = T.dtensor5(), T.dtensor5()
    out = conv3d(x, w, (None, 5, 3, 4, 6), filters.shape, border_mode=border_mode)
    out = theano.function([x, w], out, mode=mode)(signals, filters)
    named = border_mode if isinstance(border_mode, str) else border_mode[0]
    for b, o in np.ndindex(2, 2):
        expected = sum(
            scipy.signal.convolve(signals[b, :, c], filters[o, :, c], named, method="direct")
            for c in range(3)
        )
        np.testing.assert_allclose(out[b, :, o], expected, rtol=1e-12, atol=1e-12)


def test_border_modes_that_differ_are_refused():
    with pytest.raises(NotImplementedError, match="conv3d2d.conv3d.*T.nnet.conv3d"):
        conv3d(T.tensor5(), T.tensor5(), border_mode=("valid", "full", "full"))
