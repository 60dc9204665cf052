"""Batches divided among devices: the same results as one device has."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from jax.sharding import Mesh, NamedSharding, PartitionSpec

import theano
import theano.tensor as T
from xnornet import data
from xnornet.devices import mesh_of
from xnornet.errors import TrainingError, UsageError
from xnornet.training import Recipe, train

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/how_to/devices.md"


def over_devices(floatX, *counts):
    """What ``over_devices.py`` prints, for numbers of devices."""
    environment = {
        **os.environ,
        "XLA_FLAGS": f"--xla_force_host_platform_device_count={max(counts)}",
        "THEANO_FLAGS": f"floatX={floatX}",
        "PYTHONPATH": str(ROOT),
        "XNORNET_THREADS": "1",
        "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
    }
    program = [sys.executable, str(Path(__file__).with_name("over_devices.py")), *map(str, counts)]
    printed = subprocess.run(program, env=environment, capture_output=True, text=True, check=True).stdout
    return json.loads(printed.splitlines()[-1])


@pytest.mark.long
@pytest.mark.only_all
def test_fifty_steps_on_several_devices_are_those_of_one():
    """In float64, where the order of sums is too small to turn a sign."""
    losses = over_devices("float64", 1, 2, 4, 8)["losses"]
    alone, error = losses.pop("1")
    assert len(alone) == 50 and alone[-1] < alone[0]
    for many in losses.values():
        np.testing.assert_allclose(many[0], alone, rtol=1e-9)
        assert many[1] == error


@pytest.mark.long
@pytest.mark.only_all
def test_kernels_on_shares_give_what_they_give_on_all():
    """Products are the same bits, and gradients are but those to filters, whose images are added up."""
    found = over_devices("float32", 1, 2, 4, 8)
    assert found["products"].pop("1") == [0] * 6
    for out, product, images, filters, rows, matrix in found["products"].values():
        assert out == product == images == rows == matrix == 0
        assert filters < 1e-6
    alone, _ = found["losses"].pop("1")
    for many, _ in found["losses"].values():
        # Up to the first sign that turns, the order of sums; then what reordered batches give.
        np.testing.assert_allclose(many[:3], alone[:3], rtol=1e-5)
        np.testing.assert_allclose(np.mean(many), np.mean(alone), rtol=0.05)


def test_a_function_over_a_mesh_computes_and_updates_as_ever():
    x, w = T.matrix(), theano.shared(np.ones((3, 2), "float32"))
    mesh = Mesh(np.array(jax.devices()[:1]), ("batch",))
    by_batch = NamedSharding(mesh, PartitionSpec("batch"))
    f = theano.function([x], T.dot(x, w), updates={w: w + x.sum()}, shardings={x: by_batch})
    values = np.arange(12, dtype="float32").reshape(4, 3)
    np.testing.assert_array_equal(f(values), values @ np.ones((3, 2)))
    np.testing.assert_array_equal(w.get_value(), np.full((3, 2), 67))
    np.testing.assert_array_equal(f.copy().each(values[None])[0][0], values @ np.full((3, 2), 67))


def test_the_loop_of_the_page_for_several_devices_trains():
    names = {}
    for block in re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL):
        exec(compile(block, PAGE.name, "exec"), names)
    rng = np.random.default_rng(0)
    batch = rng.normal(size=(16, 64)).astype("float32"), rng.integers(0, 10, 16).astype("int32")
    losses = [names["step"](*batch) for _ in range(20)]
    assert losses[-1] < losses[0]


def test_shardings_that_mean_nothing_are_refused():
    x, other = T.matrix("x"), T.matrix("other")
    mesh = Mesh(np.array(jax.devices()[:1]), ("batch",))
    by_batch = NamedSharding(mesh, PartitionSpec("batch"))
    with pytest.raises(ValueError, match="no input or shared variable other"):
        theano.function([x], x + 1, shardings={other: by_batch})
    with pytest.raises(TypeError, match="NamedSharding; got 'batch'"):
        theano.function([x], x + 1, shardings={x: "batch"})
    with pytest.raises(ValueError, match="2 axes"):
        theano.function([x], x + 1, shardings={x: NamedSharding(mesh, PartitionSpec(None, None, "batch"))})
    again = NamedSharding(Mesh(np.array(jax.devices()[:1]), ("rows",)), PartitionSpec("rows"))
    y = T.matrix()
    with pytest.raises(ValueError, match="of one mesh"):
        theano.function([x, y], x + y, shardings={x: by_batch, y: again})


def test_more_devices_than_there_are_is_one_line():
    count = len(jax.devices())
    with pytest.raises(UsageError, match=f"--devices is {count + 1}, and JAX has {count} here; XLA_FLAGS"):
        mesh_of(count + 1)
    assert mesh_of(None) is None and mesh_of(1) is None


def test_a_batch_that_devices_cannot_divide_is_refused_before_anything_is_written(tmp_path):
    class Four:
        size = 4

    with pytest.raises(TrainingError, match="50 images .* among 4 devices; take --batch-size 48 or 52"):
        train("digits_mlp", data.load("digits"), tmp_path / "net.npz", Recipe(1, 50, 0.01, 0.01), mesh=Four())
    assert not list(tmp_path.iterdir())
