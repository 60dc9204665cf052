"""Files of the ancestor's form: the scores are the ancestor's, and other files are refused.

The ancestor's networks are written here once more, as NumPy code that uses arrays in the order of the file.
"""

import io
import zipfile

import lasagne
import numpy as np
import pytest
from scipy.signal import convolve2d

from xnornet import networks
from xnornet.data.dataset import FULL_SCALE, scale_bytes
from xnornet.errors import ModelError
from xnornet.graph import Formats, Graph, simulate
from xnornet.quantization import import_ancestor, quantize, to_graph
from xnornet.training.weights import load_weights, save_weights

# D and C are binary layers, d and c real ones, N is batch norm and P is pooling.
LAYERS = {
    "mnist_mlp": "D ND ND dN",
    "cifar10_convnet": "cN CPN CN CPN CN CPN DN DN d",
    "svhn_convnet": "cN CPN CN CPN CN CPN DN DN dN",
}
SHAPES = {"mnist_mlp": (1, 28, 28), "cifar10_convnet": (3, 32, 32), "svhn_convnet": (3, 32, 32)}
ARGUMENTS = {
    "mnist_mlp": {"num_units": 24},
    "cifar10_convnet": {"width": 2 / 128},
    "svhn_convnet": {"width": 2 / 64},
}
UNITS = {"mnist_mlp": [24, 24, 24, 10], "cifar10_convnet": [16, 16, 10], "svhn_convnet": [32, 32, 10]}


def layers_of(name):
    return LAYERS[name].replace(" ", "")


def drawn(name, rng, swapped=()):
    """Arrays of one of the ancestor's networks, in the order of its file.

    The binary convolutions counted in ``swapped`` have their last two arrays the other way round.
    """
    filters, units, binary = iter([2, 2, 4, 4, 8, 8]), iter(UNITS[name]), 0
    shape, arrays = SHAPES[name], []

    def uniform(*shape, low=-1.0, high=1.0):
        return rng.uniform(low, high, shape).astype("float32")

    for layer in layers_of(name):
        if layer in "Cc":
            n = next(filters)
            arrays += [uniform(n, shape[0], 3, 3), uniform(n)]
            shape, taps = (n, *shape[1:]), 9 * shape[0]
            if layer == "C":
                box = np.full(arrays[-2].shape, np.float32(1) / np.float32(taps))
                last = [box, uniform(n)]
                arrays += last[::-1] if binary in swapped else last
                binary += 1
        elif layer in "Dd":
            inputs, n = int(np.prod(shape)), next(units)
            arrays += [uniform(inputs, n), 5 * uniform(n)]
            arrays += [uniform(n)] if layer == "D" else []
            shape = (n,)
        elif layer == "N":
            n = shape[0]
            arrays += [uniform(n), 2 * uniform(n), uniform(n), uniform(n, low=0.3)]
        else:
            shape = (shape[0], shape[1] // 2, shape[2] // 2)
    return arrays


def sign(x):
    return np.where(x >= 0, 1.0, -1.0)


def convolved(I, W):
    """Each image by each filter, turned around, on zeros one wide."""
    images = np.pad(I, ((0, 0), (0, 0), (1, 1), (1, 1)))
    return np.array([[sum(map(valid, image, w)) for w in W] for image in images])


def valid(channel, w):
    return convolve2d(channel, w, mode="valid")


def ancestors_scores(name, arrays, images):
    """What the ancestor computes at test time, before the softmax, in double precision."""
    I, rest = images.astype("float64"), iter(arrays)

    def take(n):
        return [next(rest).astype("float64") for _ in range(n)]

    for layer in layers_of(name):
        columns = (1, -1, 1, 1) if I.ndim == 4 else (1, -1)
        if layer == "c":
            W, b = take(2)
            I = convolved(I, W) + b.reshape(columns)
        elif layer == "C":
            W, b, box, xalpha = take(4)
            K = convolved(np.abs(I), box)
            I = convolved(sign(I), sign(W)) * K * xalpha.reshape(columns) + b.reshape(columns)
        elif layer == "D":
            W, b, xalpha = take(3)
            I = I.reshape(len(I), -1)
            beta = np.abs(I).mean(axis=1, keepdims=True)
            I = (sign(I) @ sign(W) + b) * beta * xalpha
        elif layer == "d":
            W, b = take(2)
            I = I @ W + b
        elif layer == "N":
            beta, gamma, mean, inv_std = (p.reshape(columns) for p in take(4))
            I = (I - mean) * inv_std * gamma + beta
        else:
            n, c, h, w = I.shape
            I = I.reshape(n, c, h // 2, 2, w // 2, 2).max(axis=(3, 5))
    assert next(rest, None) is None
    return I


def pixels(name, rng, count=6):
    """Images as bytes, and as the ancestor sees them."""
    p = rng.integers(0, 256, (count, *SHAPES[name]), dtype=np.uint8)
    return p, p * (2.0 / 255) - 1.0


@pytest.fixture
def path(tmp_path):
    return tmp_path / "old.npz"


@pytest.mark.parametrize("name", LAYERS)
def test_scores_are_the_ancestors(path, name):
    # With this seed no number comes so close to zero that fixed point would turn its sign.
    rng = np.random.default_rng(5)
    arrays = drawn(name, rng)
    save_weights(path, arrays)
    p, images = pixels(name, rng)
    found, graph = import_ancestor(path)
    assert found == name
    expected = ancestors_scores(name, arrays, images)
    # Not rounded to 7 bits, which the ancestor did not do.
    scaled = (images * FULL_SCALE).astype("float32")
    assert np.abs(scaled - scale_bytes(p)).max() <= 2**-8 + 1e-6
    scores = simulate(graph, scaled, real=True)
    np.testing.assert_allclose(scores, expected, rtol=0, atol=1e-5 * np.abs(expected).max())

    model = quantize(graph, scaled, Formats(15, 15, 15))
    fixed = model.q_out.dequantize(simulate(model, scaled))
    np.testing.assert_allclose(fixed, expected, rtol=0, atol=2**-10 * np.abs(expected).max())


@pytest.mark.parametrize("name", LAYERS)
def test_the_graph_is_that_of_our_network_but_for_its_bias(path, name):
    """And for the batch norm behind the last layer, which the ancestor's CIFAR network does not have."""
    save_weights(path, drawn(name, np.random.default_rng(0)))
    _, graph = import_ancestor(path)
    own = to_graph(networks.build(name, scale_inputs=True, **ARGUMENTS[name]))
    if name == "cifar10_convnet":
        own = Graph(own.input_shape, own.nodes[:-1])
    assert graph.input_shape == own.input_shape and graph.shapes() == own.shapes()
    for found, wanted in zip(graph.operations, own.operations, strict=True):
        if wanted.kind == "xnor" and wanted.window is None:
            assert found.kind == "scaled bias" and found.weights == wanted.weights
        else:
            assert found.kind == wanted.kind
            for option in ("window", "scale_inputs", "groups", "ignore_border"):
                assert getattr(found, option, None) == getattr(wanted, option, None)


def parameters(path):
    """Arrays of a file's graph, in order, signs unpacked."""
    _, graph = import_ancestor(path)
    return [
        array
        for operation in graph.operations
        for array in (getattr(operation, "B", None), *map(operation.value, operation.arrays()))
        if array is not None
    ]


def assert_same(found, expected):
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("swapped", [(0,), (0, 3), range(5)])
@pytest.mark.parametrize("name", ["cifar10_convnet", "svhn_convnet"])
def test_a_convolutions_last_two_arrays_come_in_either_order(path, name, swapped):
    save_weights(path, drawn(name, np.random.default_rng(0)))
    expected = parameters(path)
    save_weights(path, drawn(name, np.random.default_rng(0), swapped))
    assert_same(parameters(path), expected)


def test_alpha_is_as_given_whatever_the_weights(path):
    arrays = drawn("mnist_mlp", np.random.default_rng(0))
    W, b, xalpha, *_ = arrays
    W[3] = 0
    xalpha[:3] = 0, -0.25, 127 / 256
    save_weights(path, arrays)
    B, alpha, bias, *_ = parameters(path)
    np.testing.assert_allclose(alpha * 784, np.abs(xalpha) * np.float64(128 / 127), rtol=1e-12)
    np.testing.assert_array_equal(B[2], sign(W[:, 2]))
    np.testing.assert_array_equal(B[1], -sign(W[:, 1]))
    assert (B[xalpha > 0, 3] == 1).all() and (B[xalpha < 0, 3] == -1).all()
    np.testing.assert_allclose(bias * 784, b * (xalpha * np.float64(128 / 127)), rtol=1e-12)


@pytest.mark.parametrize("name", ["cifar10_convnet", "svhn_convnet"])
def test_a_real_first_layer_takes_our_white_for_the_ancestors(path, name):
    arrays = drawn(name, np.random.default_rng(0))
    save_weights(path, arrays)
    W, b, *_ = parameters(path)
    np.testing.assert_allclose(W, arrays[0][:, :, ::-1, ::-1] * np.float64(128 / 127), rtol=1e-12)
    np.testing.assert_array_equal(b, arrays[1])


def test_double_precision_is_read_as_well(path):
    arrays = drawn("mnist_mlp", np.random.default_rng(0))
    save_weights(path, arrays)
    expected = parameters(path)
    save_weights(path, [a.astype("float64") for a in arrays])
    assert_same(parameters(path), expected)


SMALL = {
    "digits_mlp": {"num_units": 6},
    "mnist_mlp": {"num_units": 6},
    "mnist_convnet": {"num_filters": (2, 3), "num_units": 6},
    "cifar10_convnet": {"width": 1 / 64},
    "cifar10_resnet18": {"width": 1 / 64},
    "svhn_convnet": {"width": 1 / 64},
}


@pytest.mark.parametrize("name", networks.NETWORKS)
def test_our_own_files_are_not_taken_for_the_ancestors(path, name):
    save_weights(path, lasagne.layers.get_all_param_values(networks.build(name, **SMALL[name])))
    assert import_ancestor(path) is None


@pytest.mark.parametrize("name", LAYERS)
def test_the_ancestors_files_are_not_taken_for_ours(path, name):
    save_weights(path, drawn(name, np.random.default_rng(0)))
    for own in networks.NETWORKS:
        params = lasagne.layers.get_all_params(networks.build(own, **SMALL[own]))
        with pytest.raises(ModelError, match="It belongs to another network"):
            load_weights(path, params)


def test_other_files_of_arrays_are_not_of_the_form(path):
    arrays = drawn("mnist_mlp", np.random.default_rng(0))
    for others in ([], arrays[:-1], [*arrays, arrays[-1]], arrays[::-1]):
        save_weights(path, others)
        assert import_ancestor(path) is None
    np.savez(path, **{f"array_{i}": a for i, a in enumerate(arrays)})
    assert import_ancestor(path) is None
    save_weights(path, arrays)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("README", "hello")
    assert import_ancestor(path) is None


def refused(path):
    """The message with which a file is refused, which is one line that names it."""
    with pytest.raises(ModelError) as caught:
        import_ancestor(path)
    message = str(caught.value)
    assert "\n" not in message and str(path) in message
    return message


@pytest.mark.parametrize("name", LAYERS)
def test_every_length_that_does_not_fit_is_reported(path, name):
    arrays = drawn(name, np.random.default_rng(0))
    for i, array in enumerate(arrays):
        for axis in range(array.ndim):
            wrong = list(arrays)
            wrong[i] = np.repeat(array, 2, axis)
            save_weights(path, wrong)
            message = refused(path)
            # The network's size is taken from the first array: if that is wrong, others seem to be wrong.
            if (i, axis) != (0, {"mnist_mlp": 1}.get(name, 0)):
                assert f"arr_{i} (" in message
                assert f"should have shape {array.shape}; found {wrong[i].shape}." in message


def test_an_empty_layer_is_refused(path):
    arrays = drawn("mnist_mlp", np.random.default_rng(0))
    arrays[0] = arrays[0][:, :0]
    save_weights(path, arrays)
    assert "arr_0 (W of layer 1, XNOR dense) should have shape (784, 1); found (784, 0)" in refused(path)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("i", [0, 2, 9])
def test_numbers_that_are_not_finite_are_refused(path, bad, i):
    arrays = drawn("svhn_convnet", np.random.default_rng(0))
    arrays[i].flat[-1] = bad
    save_weights(path, arrays)
    message = refused(path)
    assert f"arr_{i} (" in message and "should be finite; found NaN or infinity" in message


def test_numbers_beyond_single_precision_are_refused(path):
    arrays = drawn("mnist_mlp", np.random.default_rng(0))
    arrays[1] = arrays[1].astype("float64") * 1e45
    save_weights(path, arrays)
    assert "b of layer 1, XNOR dense should be finite" in refused(path)


@pytest.mark.parametrize("dtype", ["int64", "complex64", "U8"])
def test_numbers_that_are_not_real_are_refused(path, dtype):
    arrays = drawn("mnist_mlp", np.random.default_rng(0))
    arrays[1] = arrays[1].astype(dtype)
    save_weights(path, arrays)
    assert "arr_1 (b of layer 1, XNOR dense) should hold real numbers; found" in refused(path)


def test_objects_are_refused_and_never_unpickled(path):
    arrays = drawn("mnist_mlp", np.random.default_rng(0))
    arrays[1] = arrays[1].astype(object)
    np.savez(path, *arrays)
    assert "arr_1 holds pickled objects, which are never loaded" in refused(path)


@pytest.mark.parametrize("factor", [1.0001, 0, -1])
def test_a_box_that_takes_no_mean_is_refused(path, factor):
    arrays = drawn("cifar10_convnet", np.random.default_rng(0))
    assert arrays[8].shape == (2, 2, 3, 3)
    arrays[8][1, 0, 2, 1] *= factor
    save_weights(path, arrays)
    message = refused(path)
    assert "arr_8 (beta_filter of layer 3, XNOR convolution) should be 1/18 everywhere" in message


def test_a_header_that_claims_a_huge_network_takes_no_memory(path):
    arrays = drawn("mnist_mlp", np.random.default_rng(0))
    n = 10**9
    with zipfile.ZipFile(path, "w") as archive:
        for i, array in enumerate(arrays):
            shape = tuple(n if k == 24 else k for k in array.shape)
            header = io.BytesIO()
            np.lib.format.write_array_header_1_0(
                header, {"shape": shape, "fortran_order": False, "descr": "<f4"}
            )
            archive.writestr(f"arr_{i}.npy", header.getvalue())
    assert "damaged or cut short" in refused(path)


def test_damaged_and_missing_files_are_refused(path):
    assert "not found" in refused(path)
    save_weights(path, drawn("mnist_mlp", np.random.default_rng(0)))
    whole = path.read_bytes()
    path.write_bytes(whole[:-100])
    assert "damaged or cut short" in refused(path)
    path.write_bytes(b"")
    assert "damaged or cut short" in refused(path)
