"""Images that are read ahead train the same weights as those on the device, bit for bit."""

from types import SimpleNamespace

import jax
import numpy as np
import pytest
from lasagne.layers import DenseLayer, InputLayer

from xnornet import networks
from xnornet.data.arrays import load_npz
from xnornet.data.dataset import Pixels
from xnornet.data.stored import is_stored
from xnornet.errors import DataError, Stopped
from xnornet.training import Recipe, train
from xnornet.training.ahead import Ahead, reads_ahead
from xnornet.training.checkpoint import checkpoint_path
from xnornet.training.steps import Steps

RNG = np.random.default_rng(0)
X = RNG.integers(0, 256, (200, 1, 8, 8)).astype(np.uint8)
Y = np.arange(200) % 10
RECIPE = Recipe(2, 30, 0.01, 0.001, augment=True)


def linear_net(input_var=None, input_shape=(1, 8, 8), num_classes=10):
    """A network that compiles fast, and whose gradient depends on every pixel, not on its sign alone."""
    return DenseLayer(InputLayer((None, *input_shape), input_var), num_classes, nonlinearity=None)


@pytest.fixture(autouse=True)
def fast_training(monkeypatch):
    monkeypatch.setitem(networks.NETWORKS, "digits_mlp", linear_net)
    monkeypatch.setattr("xnornet.training.loop.write_curves", lambda *arguments: None)


@pytest.fixture
def load(tmp_path, monkeypatch):
    """The same images, in memory or on disk."""

    def load(on_disk, images=X):
        np.savez(tmp_path / "mine.npz", X_train=images, y_train=Y, X_test=images[:20], y_test=Y[:20])
        with monkeypatch.context() as patched:
            patched.setattr("xnornet.data.stored.available_memory", lambda: 0 if on_disk else np.inf)
            dataset = load_npz(tmp_path / "mine.npz")
        assert is_stored(dataset.train.images) == on_disk
        return dataset

    return load


def weights_of(out):
    with np.load(out) as file:
        return [file[name] for name in file.files]


def test_a_run_gives_the_same_weights_and_may_be_resumed_on_either(load, tmp_path):
    def go(name, on_disk, **options):
        train(
            "digits_mlp",
            load(on_disk),
            tmp_path / name,
            RECIPE,
            report=lambda line: None,
            **options,
        )

    go("device.npz", on_disk=False)
    for on_disk in (True, False):
        resume = checkpoint_path(tmp_path / "both.npz").exists()
        with pytest.raises(Stopped):
            go("both.npz", on_disk, resume=resume, max_minutes=1e-9)
    go("both.npz", on_disk=True, resume=True)
    wanted, found = (weights_of(tmp_path / name) for name in ("device.npz", "both.npz"))
    assert all((a == b).all() for a, b in zip(found, wanted, strict=True))


def test_many_steps_a_call_and_single_ones_get_their_own_images(load):
    batches, found = RNG.permutation(160)[:150].reshape(5, 30), []
    for on_disk in (False, True):
        dataset = load(on_disk, X / 255.0)
        steps = Steps("digits_mlp", {}, dataset, RECIPE)
        steps.set_lr(0.01)
        losses = []
        # Read ahead in this order, in another, and not at all.
        for expected in (batches, batches[::-1], batches[:0]):
            steps.expect(expected)
            losses += steps.steps(batches[:3])[0] + [steps.step(rows)[0] for rows in batches[3:]]
        found.append([losses, steps.error(dataset.valid), *(p.get_value().tolist() for p in steps.params)])
    assert found[0] == found[1]


def test_no_more_is_read_ahead_than_needed_and_errors_come_with_their_batch():
    read = []

    class Images:
        shape, dtype = (100, 1, 1 << 12, 1 << 12), np.dtype(np.uint8)

        def __getitem__(self, rows):
            read.append(rows.tolist())
            if 7 in rows:
                raise DataError("gone")
            return rows

    ahead = Ahead(Images())
    ahead.expect(np.array([[1, 2], [3, 4], [7, 8], [9, 0]]))
    assert ahead.steps_per_call(50) == 1
    np.testing.assert_array_equal(ahead.take(np.array([1, 2])), [1, 2])
    np.testing.assert_array_equal(ahead.take(np.array([5, 5])), [5, 5])
    np.testing.assert_array_equal(ahead.take(np.array([3, 4])), [3, 4])
    with pytest.raises(DataError, match="gone"):
        ahead.take(np.array([7, 8]))
    np.testing.assert_array_equal(ahead.take(np.array([9, 0])), [9, 0])
    assert sorted(read) == [[1, 2], [3, 4], [5, 5], [7, 8], [9, 0]]


def test_a_gpu_gets_images_a_batch_at_a_time_when_they_are_larger_than_its_memory(monkeypatch):
    images, numbers = Pixels(X), Pixels(X, lambda pixels: pixels.astype(np.float32))
    assert not reads_ahead(images)
    memory = {"bytes_limit": 5 * X.nbytes, "bytes_in_use": X.nbytes}
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    monkeypatch.setattr(jax, "local_devices", lambda: [SimpleNamespace(memory_stats=lambda: memory)])
    assert not reads_ahead(images) and reads_ahead(numbers)
    memory["bytes_in_use"] = 4 * X.nbytes
    assert reads_ahead(images)
