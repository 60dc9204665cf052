"""The engine as its users see it: what it takes, what it refuses, and that runs do not disturb each other."""

import os
import re
import subprocess
import sys
import threading
import tracemalloc
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numba
import numpy as np
import pytest
from small_models import convolutional, data, image

from xnornet.engine import Engine, load, reference
from xnornet.errors import ModelError
from xnornet.fixedpoint import Q
from xnornet.graph import Flatten, Graph, Quantize, Saturation, save_packed, simulate
from xnornet.threads import MOST_THREADS
from xnornet.training.weights import save_weights

MODEL = convolutional(scale_inputs=False, flattened=False, channels=33)
OTHER = convolutional(scale_inputs=True, flattened=True, channels=3)
MANY = 5

NOT_LOADED = ["theano", "lasagne", "jax", "pytensor", "sklearn", "matplotlib", "requests", "tqdm"]


def images_for(count, dtype="float32"):
    return np.random.default_rng(count).uniform(-1.2, 1.2, (count, *MODEL.input_shape)).astype(dtype)


def expected(images, model=MODEL):
    return Engine(model, kernels=reference).run(images)


@pytest.fixture(scope="module")
def engine():
    return Engine(MODEL)


def test_importing_it_loads_no_network_library():
    """SciPy is loaded where it is installed: Numba looks for the BLAS in it."""
    program = "import sys, xnornet.engine; print(*{name.partition('.')[0] for name in sys.modules})"
    loaded = set(subprocess.check_output([sys.executable, "-c", program], text=True).split())
    assert {"numpy", "numba"} <= loaded
    assert not loaded & set(NOT_LOADED)


@pytest.mark.parametrize("threads", [1, 2, MANY])
def test_a_second_run_allocates_no_array(threads):
    images, out = images_for(256), np.empty((256, 4), np.int64)
    engine = Engine(MODEL, threads, batch_size=128)
    # Python keeps some objects from the first times that code runs.
    for _ in range(3):
        engine.run(images, out)
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        engine.run(images, out)
        after, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak - before < 4000 < images[:128].nbytes / 4
    assert after - before < 1000
    np.testing.assert_array_equal(out, expected(images))


@pytest.mark.parametrize("batch_size", [1, 3, 8])
def test_any_number_of_images_in_any_order(batch_size):
    """Fewer after more find arrays in which others have been, more after fewer want larger ones."""
    engine = Engine(MODEL, batch_size=batch_size)
    for count in (2, 1, 0, 7, 8, 3, 17, 1, 16):
        images = images_for(count)
        scores = engine.run(images)
        assert scores.shape == (count, 4) and scores.dtype == np.int64
        if count:
            np.testing.assert_array_equal(scores, expected(images))


def test_no_image_gives_no_class(engine):
    assert engine.predict(images_for(0)).shape == (0,)


def test_different_images_have_different_scores():
    """Otherwise the tests here would compare little."""
    assert len(np.unique(expected(images_for(50)), axis=0)) > 40


@pytest.mark.parametrize("dtype", ["float64", ">f4", "float16"])
def test_images_of_other_types_are_converted(engine, dtype):
    images = images_for(5).astype(dtype)
    exact = images.astype("float64")
    np.testing.assert_array_equal(engine.run(images), expected(exact))
    np.testing.assert_array_equal(engine.run(images.tolist()), expected(exact))


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int64", "bool", "complex64"])
def test_numbers_that_are_not_scaled_are_refused_with_the_remedy(engine, dtype):
    images = np.ones((1, 2, 6, 5), dtype)
    for run in (engine.run, engine.predict, lambda images: simulate(MODEL, images)):
        with pytest.raises(
            ValueError, match=f"real numbers, .*; got {dtype}. Pass pixels to Engine.classify"
        ):
            run(images)


def test_pixels_as_real_numbers_are_refused_with_the_remedy(engine):
    images = np.random.default_rng(0).integers(0, 256, (2, 2, 6, 5)).astype("float32")
    for run in (engine.run, lambda images: simulate(MODEL, images)):
        with pytest.raises(ValueError, match="The images reach 2[0-9]+, those of calibration 1; scale them"):
            run(images)


def test_images_may_lie_in_any_way(engine):
    images = images_for(6)
    scores = expected(images)
    last = np.ascontiguousarray(images.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    np.testing.assert_array_equal(engine.run(last), scores)
    np.testing.assert_array_equal(engine.run(images[::-2]), scores[::-2])
    np.testing.assert_array_equal(engine.run(np.asfortranarray(images)), scores)
    images.flags.writeable = False
    np.testing.assert_array_equal(engine.run(images), scores)


@pytest.mark.parametrize("shape", [(2, 6, 5), (1, 2, 5, 6), (1, 1, 6, 5), (1, 60), (0,), (), (1, 2, 6, 5, 1)])
def test_images_of_another_shape_are_refused(engine, shape):
    with pytest.raises(ValueError) as caught:
        engine.run(np.zeros(shape, "float32"))
    assert str(caught.value) == f"The network takes images of shape (n, 2, 6, 5); got {shape}"


def test_values_that_are_no_numbers_are_counted_and_leave_nothing_behind():
    engine, images = Engine(MODEL, batch_size=4), images_for(10)
    broken = images.copy()
    broken[1, 0, 2:4, 3] = broken[9, 1, 0, 0] = np.nan
    for _ in range(2):
        with pytest.raises(ValueError) as caught:
            engine.run(broken)
        assert str(caught.value) == "The images hold 3 values that are not numbers; expected [-1, 1]"
        np.testing.assert_array_equal(engine.run(images), expected(images))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_values_that_are_no_numbers_become_zero_on_every_processor(dtype):
    images = images_for(3, dtype)
    images[:, :, ::2, 1:3] = np.nan
    engines = [Engine(MODEL, 2), Engine(MODEL, kernels=reference)]
    for engine in engines:
        with pytest.raises(ValueError):
            engine.run(images)
    found, expected = (engine._idle[0].of[engine._plan._quantized[2]] for engine in engines)
    np.testing.assert_array_equal(found, expected)
    assert not found[:, 1:7:2, 2:4].any() and found[:, 2:7:2].any()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_infinity_saturates(dtype):
    x = np.array([np.inf, -np.inf, np.finfo(dtype).max, -np.finfo(dtype).max], dtype)
    model = Graph.chain((1, 2, 2), [Quantize(image), Flatten()])
    assert Engine(model).run(x.reshape(1, 1, 2, 2)).tolist() == [[127, -127, 127, -127]]


@pytest.mark.parametrize(
    "out", [np.empty((3, 5), np.int64), np.empty((2, 4), np.int64), np.empty((3, 4), np.int32), [[0] * 4] * 3]
)
def test_an_output_of_another_shape_or_type_is_refused(engine, out):
    with pytest.raises(ValueError, match=r"out should be an int64 array \(3, 4\); got "):
        engine.run(images_for(3), out)


def test_scores_are_written_where_they_are_wanted(engine):
    everything = np.full((6, 8), 7)
    out = everything[::2, ::2]
    assert engine.run(images_for(3), out) is out
    np.testing.assert_array_equal(out, expected(images_for(3)))
    assert (everything[1::2] == 7).all() and (everything[:, 1::2] == 7).all()


@pytest.mark.parametrize("threads", [0, -1, MOST_THREADS + 1])
def test_no_thread_or_too_many_are_refused(threads):
    with pytest.raises(ValueError) as caught:
        Engine(MODEL, threads)
    assert str(caught.value) == f"threads is {threads}; it takes 1 to {MOST_THREADS}"


def test_a_batch_of_none_is_refused():
    with pytest.raises(ValueError, match="batch_size is 0; it takes at least 1"):
        Engine(MODEL, batch_size=0)


@pytest.mark.parametrize("model", [MODEL, OTHER], ids=["folded", "scaled"])
def test_threads_change_no_score(model):
    images = images_for(9)
    for threads in (*range(1, 8), 64, MOST_THREADS):
        np.testing.assert_array_equal(Engine(model, threads).run(images), expected(images, model))


def test_engines_used_in_turns_do_not_disturb_each_other():
    one, other = Engine(MODEL, batch_size=4), Engine(OTHER, batch_size=4)
    for count in (4, 2, 7):
        images = images_for(count)
        np.testing.assert_array_equal(one.run(images), expected(images))
        np.testing.assert_array_equal(other.run(images), expected(images, OTHER))


def run_in_threads(engine_of):
    """Each of some Python threads runs images of its own, all of them at a time."""
    counts = [1, 5, 9, 16]
    wanted = {count: expected(images_for(count)) for count in counts}
    gate = threading.Barrier(len(counts))

    def run(count):
        images, engine = images_for(count), engine_of(count)
        gate.wait()
        return all((engine.run(images) == wanted[count]).all() for _ in range(100))

    with ThreadPoolExecutor(len(counts)) as pool:
        assert all(pool.map(run, counts))


@pytest.mark.parametrize("threads", [1, 2, MANY])
def test_python_threads_may_share_an_engine(threads):
    shared = Engine(MODEL, threads, batch_size=4)
    run_in_threads(lambda count: shared)


@pytest.mark.parametrize("threads", [1, 2, MANY])
def test_python_threads_may_have_an_engine_each(threads):
    run_in_threads(lambda count: Engine(MODEL, threads, batch_size=count))


def test_numbas_threads_are_left_alone():
    """Where they are GNU OpenMP's, children that are forked after they began die."""
    before = numba.get_num_threads()
    engine = Engine(MODEL, threads=MANY)
    engine.run(images_for(3))
    assert numba.get_num_threads() == before
    program = """
import numpy as np, numba, xnornet.engine
engine = xnornet.engine.load("models/digits_mlp.npz", threads=2)
engine.predict(np.zeros((2, *engine.input_shape), "float32"))
numba.threading_layer()
"""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, [".", *sys.path]))}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    assert "Threading layer is not initialized" in done.stderr


def test_of_equal_scores_the_first_class_is_predicted():
    model = Graph.chain((1, 1, 4), [Quantize(image), Flatten()])
    x = np.array([[3, 7, 7, 1], [5, 5, 5, 5], [-2, -1, -3, -1]]) / 128
    classes = Engine(model).predict(x.reshape(3, 1, 1, 4))
    assert classes.dtype == np.int64 and classes.tolist() == [1, 0, 1]


def test_what_is_saved_is_loaded_and_run(tmp_path):
    save_packed(tmp_path / "m.npz", MODEL, {"network": "small"})
    engine = load(tmp_path / "m.npz", threads=1, batch_size=3)
    assert (engine.info, engine.threads, engine.batch_size) == ({"network": "small"}, 1, 3)
    assert (engine.input_shape, engine.q_out) == ((2, 6, 5), data)
    np.testing.assert_array_equal(engine.run(images_for(4)), expected(images_for(4)))


def refused(path):
    with pytest.raises(ModelError) as caught:
        load(path)
    message = str(caught.value)
    assert "\n" not in message and str(path) in message
    return message


def test_what_is_no_packed_model_is_refused(tmp_path):
    assert "not found" in refused(tmp_path / "none.npz")
    assert "is a folder" in refused(tmp_path)
    (tmp_path / "text.npz").write_text("scores\nof images")
    assert "should be a whole .npz file" in refused(tmp_path / "text.npz")
    (tmp_path / "empty.npz").write_bytes(b"")
    assert "should be a whole .npz file" in refused(tmp_path / "empty.npz")


def test_the_error_for_float_weights_says_to_pack_them(tmp_path):
    save_weights(tmp_path / "w.npz", [np.zeros((2, 3), "float32")])
    assert "python -m xnornet pack" in refused(tmp_path / "w.npz")


@pytest.mark.parametrize("threads", [1, 2])
def test_images_beyond_the_format_are_reported_with_their_share(threads):
    images = np.full((3, *MODEL.input_shape), 0.99, "float32")
    images[1, 0, 0, :3] = -1.01, 7, 1
    engine = Engine(MODEL, threads, batch_size=2)
    share = f"{2 / images.size:.2%} of the images' numbers lie beyond"
    with pytest.warns(Saturation, match=re.escape(share)):
        engine.run(images)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        engine.run(np.ones_like(images))


def test_models_that_the_check_refuses_are_refused():
    first, *others = MODEL.nodes
    with pytest.raises(ModelError, match="q_in should be"):
        Engine(replace(MODEL, nodes=(replace(first, operation=Quantize(Q(3, 3))), *others)))


def test_an_error_about_size_names_the_file(tmp_path, monkeypatch):
    save_packed(tmp_path / "m.npz", MODEL, {})
    monkeypatch.setattr("xnornet.engine.plan.MAX_BYTES", 1000)
    assert "running one image takes" in refused(tmp_path / "m.npz")
