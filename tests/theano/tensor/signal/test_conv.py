"""Convolution of single images against SciPy, in both modes."""

import numpy as np
import pytest
import scipy.signal

import theano
import theano.tensor as T
from theano.tensor.signal.conv import conv2d

pytestmark = pytest.mark.filterwarnings("error:.*JAX cannot")


@pytest.mark.parametrize("mode", ["JAX", "FAST_COMPILE"])
@pytest.mark.parametrize("border_mode", ["valid", "full"])
@pytest.mark.parametrize("images, filters", [((), ()), ((2,), ()), ((), (3,)), ((2,), (3,))], ids=str)
def test_every_image_meets_every_filter(mode, border_mode, images, filters):
    random = np.random.default_rng(0)
    x, w = random.normal(size=(*images, 5, 6)), random.normal(size=(*filters, 3, 2))
    xv, wv = T.TensorType("float64", (None,) * x.ndim)(), T.TensorType("float64", (None,) * w.ndim)()
    out = theano.function([xv, wv], conv2d(xv, wv, border_mode=border_mode, subsample=(1, 2)), mode=mode)(
        x, w
    )
    for place in np.ndindex(*images, *filters):
        image, kernel = x[place[: len(images)]], w[place[len(images) :]]
        expected = scipy.signal.convolve2d(image, kernel, border_mode)[:, ::2]
        np.testing.assert_allclose(out[place], expected, rtol=1e-12, atol=1e-12)
    assert out.ndim == len(images) + len(filters) + 2


def test_inputs_with_channels_are_refused():
    with pytest.raises(TypeError, match="2 or 3 axes; got 4 and 2"):
        conv2d(T.tensor4(), T.matrix())
