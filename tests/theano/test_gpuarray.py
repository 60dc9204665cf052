"""Programs that build on Theano's own GPU backend by hand get plain operations."""

import numpy as np
import pytest
from scipy.signal import convolve2d, correlate2d

import theano
import theano.sandbox.cuda.dnn
import theano.tensor as T
from theano.gpuarray import basic_ops, blas, dnn, pygpu_activated


def test_programs_that_ask_for_the_backend_s_functions_find_them():
    assert pygpu_activated and dnn.dnn_present() and dnn.dnn_available(None)
    x = T.matrix()
    assert basic_ops.gpu_contiguous(x) is basic_ops.host_from_gpu(x) is x


def test_convolutions_and_pooling_equal_scipy_and_numpy():
    rng = np.random.default_rng(0)
    image, kernel = (rng.normal(size=s).astype("float32") for s in ((1, 1, 4, 6), (1, 1, 2, 3)))
    x, k = T.tensor4(), T.tensor4()
    expressions = [
        dnn.dnn_conv(x, k, border_mode="full"),
        dnn.dnn_conv(x, k, conv_mode="cross"),
        blas.GpuCorrMM(border_mode="valid", subsample=(2, 1))(x, k),
        dnn.dnn_pool(x, (2, 3)),
        dnn.dnn_pool(x, (2, 2), stride=(1, 1), mode="average_inc_pad", pad=(1, 1)),
    ]
    flipped, plain, strided, largest, mean = theano.function([x, k], expressions)(image, kernel)
    image, kernel = image[0, 0], kernel[0, 0]
    np.testing.assert_allclose(flipped[0, 0], convolve2d(image, kernel), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(plain[0, 0], correlate2d(image, kernel, "valid"), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(strided, plain[:, :, ::2])
    np.testing.assert_array_equal(largest[0, 0], image.reshape(2, 2, 2, 3).max(axis=(1, 3)))
    expected = correlate2d(np.pad(image, 1), np.full((2, 2), 0.25), "valid")
    np.testing.assert_allclose(mean[0, 0], expected, rtol=1e-5, atol=1e-6)


def test_batch_normalization_gives_mean_and_inverse_deviation_with_all_axes():
    images = np.random.default_rng(0).normal(size=(3, 2, 4, 4)).astype("float32")
    x, ones = T.tensor4(), T.ones((1, 2, 1, 1))
    trained = dnn.dnn_batch_normalization_train(x, ones, 0 * ones, "spatial", 1e-3)
    tested = dnn.dnn_batch_normalization_test(x, ones, 0 * ones, trained[1], ones, "spatial", 1e-3)
    out, mean, inv_std, tested = theano.function([x], [*trained, tested])(images)
    expected_mean, var = (f(axis=(0, 2, 3), keepdims=True) for f in (images.mean, images.var))
    for result, expected in [
        (mean, expected_mean),
        (inv_std, 1 / np.sqrt(var + 1e-3)),
        (out, (images - expected_mean) / np.sqrt(var + 1e-3)),
        (tested, (images - expected_mean) / np.sqrt(1 + 1e-3)),
    ]:
        np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-5)


def test_what_does_not_exist_is_an_error():
    with pytest.raises(ValueError, match="conv_mode is 'flip'"):
        dnn.dnn_conv(T.tensor4(), T.tensor4(), conv_mode="flip")


def test_lasagne_01_finds_its_layers_where_a_gpu_was_chosen(monkeypatch):
    assert not theano.sandbox.cuda.dnn.dnn_available()
    monkeypatch.setattr(theano.sandbox.cuda.dnn, "config", type("Config", (), {"device": "gpu0"}))
    assert theano.sandbox.cuda.dnn.dnn_available()
    assert theano.sandbox.cuda.dnn.dnn_conv is dnn.dnn_conv
