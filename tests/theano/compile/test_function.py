"""theano.function: forms of inputs and outputs, updates, compilations, types, memory, fallback."""

import copy
import gc
import logging
import pickle
import warnings
import weakref
from collections import OrderedDict
from contextlib import contextmanager

import jax
import numpy as np
import pytest
from extent import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from pytensor.graph.basic import Apply
from pytensor.graph.op import Op
from pytensor.link.jax.dispatch import jax_funcify

import theano
import theano.tensor as T
from theano.compile import UnusedInputError

pytestmark = pytest.mark.filterwarnings("error:.*JAX cannot")

MODES = ["JAX", "FAST_COMPILE"]


def array(*shape, dtype="float32"):
    return np.arange(np.prod(shape)).reshape(shape).astype(dtype)


@contextmanager
def compilations():
    """Context manager: a list of the programs that XLA compiles in a ``with`` block."""
    programs, logger = [], logging.getLogger("jax._src.interpreters.pxla")
    listener = logging.Handler()
    listener.emit = lambda record: programs.append(record.getMessage())
    listener.addFilter(lambda record: record.getMessage().startswith("Compiling"))
    logger.addHandler(listener)
    try:
        with jax.log_compiles():
            yield programs
    finally:
        logger.removeHandler(listener)


class Triple(Op):
    """An Op without a JAX version, of whose result JAX cannot know the shape."""

    __props__ = ()

    def make_node(self, x):
        return Apply(self, [x], [T.TensorType(x.dtype, (None,) * x.ndim)()])

    def perform(self, node, inputs, output_storage):
        output_storage[0][0] = 3 * inputs[0]


class Same(Op):
    """An Op that hands its input on; rewriting does not see through it."""

    __props__ = ()
    view_map = {0: [0]}

    def make_node(self, x):
        return Apply(self, [x], [x.type()])

    def perform(self, node, inputs, output_storage):
        output_storage[0][0] = inputs[0]


@jax_funcify.register(Same)
def _jax_same(op, **kwargs):
    return lambda x: x


# Outputs


def test_one_output_is_returned_bare():
    x = T.vector()
    result = theano.function([x], x + 1)(array(3))
    assert isinstance(result, np.ndarray)
    np.testing.assert_array_equal(result, [1, 2, 3])


def test_a_list_of_outputs_is_returned_as_a_list():
    x = T.vector()
    result = theano.function([x], [x + 1, x * 2])(array(3))
    assert isinstance(result, list)
    np.testing.assert_array_equal(result, [[1, 2, 3], [0, 2, 4]])


def test_a_list_of_one_output_is_returned_as_a_list():
    x = T.vector()
    (result,) = theano.function([x], [x + 1])(array(3))
    np.testing.assert_array_equal(result, [1, 2, 3])


def test_a_dict_of_outputs_is_returned_under_its_keys():
    x = T.vector()
    result = theano.function([x], {"more": x + 1, "twice": x * 2})(array(3))
    assert sorted(result) == ["more", "twice"]
    np.testing.assert_array_equal(result["more"], [1, 2, 3])
    np.testing.assert_array_equal(result["twice"], [0, 2, 4])


@pytest.mark.parametrize("mode", MODES)
def test_no_output_returns_an_empty_list(mode):
    counter = theano.shared(np.int64(0))
    f = theano.function([], updates={counter: counter + 1}, mode=mode)
    assert f() == [] and f() == []
    assert counter.get_value() == 2
    assert theano.function([], [], mode=mode)() == []


def test_inputs_constants_and_shared_variables_can_be_outputs():
    x, s = T.vector(), theano.shared(array(2))
    f = theano.function([x], [x, s, T.constant(5), 2.5])
    result = f(array(3))
    np.testing.assert_array_equal(result[0], [0, 1, 2])
    np.testing.assert_array_equal(result[1], [0, 1])
    assert [float(r) for r in result[2:]] == [5, 2.5]


def test_out_wraps_an_output():
    x = T.vector()
    np.testing.assert_array_equal(theano.function([x], theano.Out(x + 1, borrow=True))(array(3)), [1, 2, 3])


# Inputs


def test_inputs_are_passed_by_position_or_name():
    x, y = T.scalar("x"), T.scalar("y")
    f = theano.function([x, y], x - y)
    assert f(5, 3) == f(5, y=3) == f(y=3, x=5) == 2


def test_an_input_with_a_default_may_be_left_out():
    x, y = T.scalar("x"), T.scalar("y")
    f = theano.function(
        [x, theano.In(y, value=3), theano.In(T.scalar(), name="z", value=0)],
        x - y,
        on_unused_input="ignore",
    )
    assert f(5) == 2
    assert f(5, 4) == f(5, y=4) == f(5, y=4, z=9) == 1
    assert f(5) == 2


def test_a_missing_input_is_named():
    f = theano.function([T.scalar("x"), T.scalar("y")], T.constant(0), on_unused_input="ignore")
    with pytest.raises(TypeError, match="no value for input y"):
        f(1)


def test_too_many_or_unknown_inputs_are_refused():
    x = T.scalar("x")
    f = theano.function([x], x)
    with pytest.raises(TypeError, match="takes 1 inputs; got 2"):
        f(1, 2)
    with pytest.raises(TypeError, match="no input 'z'"):
        f(1, z=2)


def test_an_unused_input_is_refused_unless_allowed():
    x, y = T.scalar("x"), T.scalar("y")
    with pytest.raises(UnusedInputError, match="y is not part of the graph"):
        theano.function([x, y], x)
    with pytest.warns(UserWarning, match="y is not part of the graph"):
        theano.function([x, y], x, on_unused_input="warn")
    assert theano.function([x, y], x, on_unused_input="ignore")(1, 2) == 1
    with theano.config.change_flags(on_unused_input="ignore"):
        assert theano.function([x, y], x)(1, 2) == 1
        with pytest.raises(theano.compile.UnusedInputError):
            theano.function([x, y], x, on_unused_input="raise")


def test_a_variable_that_is_no_input_is_named():
    x, y = T.scalar("x"), T.scalar("y")
    with pytest.raises(ValueError, match="depend on y"):
        theano.function([x], x + y)


def test_a_shared_variable_or_a_repeated_one_is_no_input():
    x, s = T.scalar("x"), theano.shared(1.0, "s")
    with pytest.raises(TypeError, match="s cannot be an input"):
        theano.function([s], s + 1)
    with pytest.raises(UnusedInputError, match="x is given twice"):
        theano.function([x, x], x)
    with pytest.raises(TypeError, match="come in a list"):
        theano.function(x, x)


@pytest.mark.parametrize("mode", MODES)
def test_an_intermediate_variable_as_input_cuts_the_graph(mode):
    x, counter = T.scalar("x"), theano.shared(np.float32(0), "counter")
    counter.default_update = counter + 1
    middle = x * 2 + counter
    assert theano.function([middle], middle + 1, mode=mode)(10) == 11
    assert theano.function([x, middle], middle + x, mode=mode)(1, 10) == 11
    assert counter.get_value() == 0


def test_inputs_that_would_lose_precision_are_refused_unless_allowed():
    x = T.fvector("x")
    with pytest.raises(
        TypeError, match=r"Bad input 0 \(x\) .* float64 .*allow_input_downcast=True"
    ) as caught:
        theano.function([x], x)(array(3000, dtype="float64"))
    assert "\n" not in str(caught.value)
    result = theano.function([x], x, allow_input_downcast=True)(array(3, dtype="float64"))
    assert result.dtype == np.float32


def test_an_input_of_another_rank_is_refused():
    x = T.matrix("x")
    with pytest.raises(TypeError, match="Bad input 0"):
        theano.function([x], x)(array(3))


def test_lists_and_python_numbers_are_inputs():
    x, y = T.vector(), T.scalar()
    np.testing.assert_array_equal(theano.function([x, y], x * y)([1, 2], 0.5), [0.5, 1])


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "dtype, value",
    [
        *[("float32", v) for v in (0.5, 3, True, np.float32(0.5), np.array(0.5, "float32"), np.int16(3))],
        *[("float64", v) for v in (0.5, np.float32(0.5), np.float64(0.1), np.array(3))],
        *[("int32", v) for v in (3, True, np.int8(3), np.array(-3, "int32"))],
        *[("int64", v) for v in (2**40, np.int32(3))],
    ],
)
def test_scalars_are_inputs(dtype, value, mode):
    x = T.scalar("x", dtype=dtype)
    result = theano.function([x], x + x, mode=mode)(value)
    assert isinstance(result, np.ndarray)
    assert (result.shape, result.dtype) == ((), dtype)
    assert result == 2 * float(value)


def test_scalars_that_would_lose_precision_are_refused():
    for dtype, value in [("float32", np.array(0.5)), ("int32", 0.5), ("int32", 2**40), ("int8", 300)]:
        x = T.scalar("x", dtype=dtype)
        with pytest.raises(TypeError, match=r"Bad input 0 \(x\)"):
            theano.function([x], x)(value)


def test_inputs_are_not_changed():
    x = T.vector()
    value = array(3)
    theano.function([theano.In(x, mutable=True, borrow=True)], T.inc_subtensor(x[0], 5))(value)
    np.testing.assert_array_equal(value, [0, 1, 2])


def test_what_is_no_input_is_reported_in_one_line():
    x = T.scalar("x")
    for wrong in (3, None, "x"):
        with pytest.raises(TypeError, match=f"is a variable or an In; got {wrong!r}$"):
            theano.function([wrong], x)


def test_options_without_effect_are_accepted_and_others_refused():
    x = T.scalar("x")
    f = theano.function([x], x + 1, name="plus_one", profile=True, accept_inplace=True)
    assert f.name == "plus_one" and "plus_one" in str(f)
    assert f(1) == 2
    for option in ({"inplace": True}, {"on_unused_input": "shout"}, {"mode": "SLOW"}):
        (name,) = option
        with pytest.raises((TypeError, ValueError), match=name) as caught:
            theano.function([x], x + 1, **option)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("mode", MODES)
def test_a_function_lists_its_shared_variables(mode):
    x, read, updated, unused = T.scalar(), *(theano.shared(np.float32(i), name=f"s{i}") for i in range(3))
    f = theano.function([x], x * read, updates={updated: updated + 1}, mode=mode)
    assert set(f.get_shared()) == {read, updated}
    assert theano.function([x], x + unused - unused, givens={unused: x}, mode=mode).get_shared() == []


# Updates and givens


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("form", [dict, OrderedDict, list])
def test_updates_are_stored_after_the_outputs_are_computed(mode, form):
    a, b = theano.shared(array(3), "a"), theano.shared(array(3) + 10, "b")
    f = theano.function([], a + b, updates=form([(a, a + 1), (b, a * 2)]), mode=mode)
    a0, b0 = array(3), array(3) + 10
    for _ in range(3):
        np.testing.assert_array_equal(f(), a0 + b0)
        a0, b0 = a0 + 1, a0 * 2
        np.testing.assert_array_equal(a.get_value(), a0)
        np.testing.assert_array_equal(b.get_value(), b0)


def test_an_update_may_be_a_number_or_an_array():
    a = theano.shared(array(2), "a")
    theano.function([], updates={a: np.zeros(2, "float32")})()
    np.testing.assert_array_equal(a.get_value(), [0, 0])


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("form", [dict, OrderedDict, list, tuple, iter])
def test_givens_come_in_any_form(mode, form):
    x, y, z = T.scalar("x"), T.scalar("y"), T.scalar("z")
    f = theano.function([z], x - y, givens=form([(x, z * 2), (y, np.float32(3))]), mode=mode)
    assert f(5) == 7


@pytest.mark.parametrize("argument", ["updates", "givens"])
def test_updates_and_givens_of_another_form_are_reported_in_one_line(argument):
    x = theano.shared(1.0, "x")
    for wrong in (3, x, [1], "xy", [(x,)], [(x, 1.0, 2.0)]):
        with pytest.raises(TypeError, match=f"{argument} takes a dict or a list of pairs") as caught:
            theano.function([], x, **{argument: wrong})
        assert "\n" not in str(caught.value)
    with pytest.raises(TypeError, match=f"{argument} takes variables on the left; got 3"):
        theano.function([], x, **{argument: {3: x}})
    with pytest.raises(ValueError, match=f"x has two {argument}"):
        theano.function([], x, **{argument: [(x, x + 1), (x, x + 2)]})


def test_updates_that_do_not_fit_are_refused():
    a = theano.shared(array(3), "a")
    with pytest.raises(TypeError, match="The update of a has type"):
        theano.function([], updates={a: T.cast(a, "float64")})
    with pytest.raises(TypeError, match="stores into a shared variable"):
        theano.function([], updates={T.vector(): a})


@pytest.mark.parametrize("mode", MODES)
def test_swapped_variables_stay_right_over_calls(mode):
    a, b = theano.shared(array(3), "a"), theano.shared(array(3) + 10, "b")
    f = theano.function([], updates={a: b, b: a}, mode=mode)
    for call in range(1, 6):
        f()
        first, second = (a, b) if call % 2 == 0 else (b, a)
        np.testing.assert_array_equal(first.get_value(), array(3))
        np.testing.assert_array_equal(second.get_value(), array(3) + 10)


@pytest.mark.parametrize("copied", [lambda v: v, Same(), lambda v: Same()(T.specify_shape(v, (3,)))])
def test_a_copied_variable_does_not_follow_its_source(copied):
    a, b = theano.shared(array(3), "a"), theano.shared(array(3) + 10, "b")
    copy_b = theano.function([], updates={a: copied(b)})
    more = theano.function([], updates={b: b + 1})
    much_more = theano.function([], updates={a: a + 100})
    for call in range(4):
        copy_b()
        more()
        np.testing.assert_array_equal(a.get_value(), array(3) + 10 + call)
        np.testing.assert_array_equal(b.get_value(), array(3) + 11 + call)
        much_more()
        np.testing.assert_array_equal(a.get_value(), array(3) + 110 + call)
        np.testing.assert_array_equal(b.get_value(), array(3) + 11 + call)


def test_one_expression_in_two_variables_and_an_output_makes_three_values():
    a, b = theano.shared(array(3), "a"), theano.shared(array(3) + 10, "b")
    total = a + b
    f = theano.function([], [total, Same()(total)], updates={a: total, b: Same()(total)})
    g = theano.function([], updates={a: a * 0})
    first, second = f()
    first += 1000
    for v in (a.get_value(), b.get_value(), second):
        np.testing.assert_array_equal(v, [10, 12, 14])
    f()
    g()
    np.testing.assert_array_equal(a.get_value(), [0, 0, 0])
    np.testing.assert_array_equal(b.get_value(), [20, 24, 28])


def test_givens_replace_variables():
    x, s = T.vector("x"), theano.shared(array(3), "s")
    y = x * s
    np.testing.assert_array_equal(theano.function([], y, givens={x: s + 1})(), [0, 2, 6])
    np.testing.assert_array_equal(theano.function([x], y, givens=[(s, x)])(array(3)), [0, 1, 4])
    np.testing.assert_array_equal(theano.function([], y, givens={x: array(3) + 2})(), [0, 3, 8])
    np.testing.assert_array_equal(
        theano.function([x], y + 1, givens={y: x - 1}, on_unused_input="ignore")(array(3)),
        [0, 1, 2],
    )


@pytest.mark.parametrize("mode", MODES)
def test_givens_apply_to_updates(mode):
    x, s = T.scalar("x"), theano.shared(np.float32(1), "s")
    theano.function([], updates={s: s + x}, givens={x: np.float32(4)}, mode=mode)()
    assert s.get_value() == 5


@pytest.mark.parametrize("mode", MODES)
def test_default_updates_happen_unless_they_are_left_out(mode):
    s, t = theano.shared(np.float32(0), "s"), theano.shared(np.float32(0), "t")
    s.default_update = s + t
    t.default_update = t + 1

    def after(steps, **options):
        s.set_value(0)
        t.set_value(0)
        f = theano.function([], s * 1, mode=mode, **options)
        for _ in range(steps):
            f()
        return float(s.get_value()), float(t.get_value())

    assert after(3) == (0 + 1 + 2, 3)
    assert after(3, no_default_updates=True) == (0, 0)
    assert after(3, no_default_updates=[t]) == (0, 0)
    assert after(3, updates={t: t + 2}) == (0 + 2 + 4, 6)
    assert after(3, updates={s: s + 5}) == (15, 0)


def test_default_updates_of_replaced_variables_do_not_happen():
    s = theano.shared(np.float32(0), "s")
    s.default_update = s + 1
    assert theano.function([], s * 2 + 1, givens={s: np.float32(7)})() == 15
    hidden = s * 2
    assert theano.function([], hidden + 1, givens={hidden: np.float32(7)})() == 8
    assert s.get_value() == 0


@pytest.mark.parametrize("mode", MODES)
def test_a_default_update_of_a_clone_updates_the_original(mode):
    """As Lasagne 0.2's batch normalization keeps its running mean."""
    x, mean = T.matrix("x"), theano.shared(np.zeros(2, "float32"), "mean")
    running = theano.clone(mean, share_inputs=False)
    running.default_update = 0.5 * running + 0.5 * x.mean(axis=0)
    train = theano.function([x], x.mean(axis=0) + 0 * running + 0 * mean, mode=mode)
    test = theano.function([x], x - mean, mode=mode)
    value = np.array([[1, 2], [3, 6]], "float32")
    for expected in ([1, 2], [1.5, 3], [1.75, 3.5]):
        np.testing.assert_array_equal(train(value), [2, 4])
        np.testing.assert_array_equal(mean.get_value(), expected)
        np.testing.assert_array_equal(running.get_value(), expected)
        np.testing.assert_array_equal(test(value), value - expected)
    assert mean.default_update is None


@pytest.mark.parametrize("mode", MODES)
def test_of_two_clones_with_updates_the_last_counts(mode):
    s = theano.shared(np.float32(1), "s")
    clones = [theano.clone(s, share_inputs=False) for _ in range(2)]
    f = theano.function([], sum(clones) + s, updates={clones[0]: s + 10, clones[1]: s + 20}, mode=mode)
    assert f() == 3
    assert f() == 63
    assert s.get_value() == 41


# Compilations


def test_a_function_compiles_once_for_each_set_of_shapes():
    x, y = T.matrix(), T.vector()
    f = theano.function([x, y], T.dot(x, y))
    assert f.compilations == 0
    for rows, columns, expected in [
        (2, 3, 1),
        (2, 3, 1),
        (4, 3, 2),
        (2, 3, 2),
        (4, 5, 3),
        (4, 3, 3),
    ]:
        np.testing.assert_allclose(
            f(array(rows, columns), array(columns)), array(rows, columns) @ array(columns)
        )
        assert f.compilations == expected


@settings(max_examples=examples(15))
@given(lengths=st.lists(st.integers(0, 5), max_size=20), kept=st.integers(1, 4))
def test_the_versions_used_last_are_kept(lengths, kept):
    x, s = T.vector("x"), theano.shared(array(1), "s")
    f = theano.function([x], x.sum() + s, updates={s: s + 1}, name="of_many_shapes")
    recent, calls, compiled = [], {}, 0
    with warnings.catch_warnings(record=True) as caught, theano.config.change_flags(compiled_versions=kept):
        warnings.simplefilter("always")
        for step, length in enumerate(lengths):
            with compilations() as programs:
                assert f(array(length)) == sum(range(length)) + step
            known = length in recent
            compiled += not known
            assert len(programs) == (not known)
            calls[length] = calls[length] + 1 if known else 1
            recent = [*(n for n in recent if n != length), length][-kept:]
            assert [v.shapes[x] for v in f.versions] == [(n,) for n in recent]
            assert [v.calls for v in f.versions] == [calls[n] for n in recent]
            assert (f.compilations, f.evictions) == (compiled, compiled - len(recent))
    messages = [str(w.message) for w in caught]
    of_evictions = ["theano.config.compiled_versions" in message for message in messages]
    assert sum(of_evictions) == (f.evictions > 0) and all("'of_many_shapes'" in m for m in messages)
    assert len(messages) == sum(of_evictions) + (f.compilations >= 8)


def test_the_eighth_version_warns_once_and_names_the_choices():
    x = T.vector("x")
    f = theano.function([x], x.sum(), name="of_many_lengths")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warned = []
        for length in [*range(10), *range(10)]:
            assert f(array(length)) == sum(range(length))
            warned.append(len(caught))
    assert warned == [0] * 7 + [1] * 13
    assert caught[0].filename == __file__
    assert all(w in str(caught[0].message) for w in ("'of_many_lengths'", "'FAST_RUN'", "multiples", "mask"))
    assert "length_buckets" not in str(caught[0].message)


def test_the_eighth_version_of_a_loop_names_the_setting_for_lengths():
    x = T.vector("x")
    f = theano.function([x], theano.scan(lambda a: a * 2, x)[0])
    with pytest.warns(UserWarning, match="set theano.config.length_buckets to 16, say, or pad"):
        for length in range(1, 9):
            f(array(length))


def test_a_version_shows_its_shapes_and_calls():
    x, s = T.matrix("x"), theano.shared(array(3), "s")
    f = theano.function([x], T.dot(x, s), updates={s: s + 1})
    f(array(2, 3))
    f(array(2, 3))
    (version,) = f.versions
    assert version.shapes == {x: (2, 3), s: (3,)}
    assert str(version) == "x (2, 3), s (3,): 2 calls"
    outputs, state, index_error = version.program([array(2, 3)], [], [array(3)], [])
    np.testing.assert_array_equal(outputs, [array(2, 3) @ array(3)])
    np.testing.assert_array_equal(state, [array(3) + 1])
    np.testing.assert_array_equal(s.get_value(), array(3) + 2)
    assert index_error is None


def test_a_version_shows_the_lengths_of_slices_and_numbers_that_it_is_for():
    X, i, n = theano.shared(array(10), "X"), T.iscalar("i"), T.iscalar("n")
    f = theano.function([i, n], [X[i * 4 : (i + 1) * 4], T.zeros((n,))])
    for first, count in ((0, 2), (1, 2), (2, 2), (0, 3)):
        f(first, count)
    assert [str(v) for v in f.versions] == [
        f"i (), n (), X (10,), n {count}, slice 0 of X {length}: {calls} calls"
        for count, length, calls in ((2, 4, 2), (2, 2, 1), (3, 4, 1))
    ]


def test_a_version_no_longer_kept_is_freed():
    x, s = T.vector("x"), theano.shared(np.asarray(1, "float32"), "s")
    f = theano.function([x], x + s, updates={s: s + 1})
    programs = []
    with (
        theano.config.change_flags(compiled_versions=1),
        pytest.warns(UserWarning, match="more sets of shapes"),
    ):
        for length in range(5):
            f(array(length))
            programs.append(weakref.ref(f.versions[-1].program.__wrapped__))
    gc.collect()
    assert [p() is not None for p in programs] == [False] * 4 + [True]


def test_repeated_steps_compile_nothing_and_keep_float32(caplog):
    x, t = T.matrix("x"), T.ivector("t")
    W = theano.shared(np.full((3, 2), 0.1, "float32"), "W")
    b = theano.shared(np.zeros(2, "float32"), "b")
    rate, step = theano.shared(np.float32(0.1), "rate"), theano.shared(np.float32(0), "step")
    loss = T.nnet.categorical_crossentropy(T.nnet.softmax(T.dot(x, W) + b), t).mean()
    updates = [(p, p - rate * g / (1 + 0.5**step)) for p, g in zip([W, b], T.grad(loss, [W, b]), strict=True)]
    updates += [(rate, rate * 0.9), (step, step + 1)]
    f = theano.function([x, t], [loss, step, 2 * loss - 1e-3, loss > 0.5], updates=updates)
    batch = (array(4, 3) / 10, np.array([0, 1, 0, 1], "int32"))
    f(*batch)
    caplog.clear()
    with jax.log_compiles():
        for _ in range(3):
            outputs = f(*batch)
    assert [r for r in caplog.records if "ompil" in r.getMessage()] == []
    assert f.compilations == 1
    assert [o.dtype for o in outputs] == ["float32", "float32", "float32", "bool"]
    assert {v.get_value().dtype for v in (W, b, rate, step)} == {np.dtype("float32")}
    assert {str(v.get_value(return_internal_type=True).dtype) for v in (W, b, rate)} == {"float32"}


def test_set_value_may_change_the_shape():
    s = theano.shared(array(3), "s")
    f = theano.function([], s.sum(), updates={s: s + 1})
    assert f() == 3
    s.set_value(array(5))
    assert f() == 10
    np.testing.assert_array_equal(s.get_value(), array(5) + 1)
    s.set_value(array(3))
    assert f() == 3
    assert f.compilations == 2


def test_an_update_may_change_the_shape_without_a_warning():
    s = theano.shared(array(2), "s")
    f = theano.function([], updates={s: T.concatenate([s, s])})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        f()
        f()
    np.testing.assert_array_equal(s.get_value(), [0, 1] * 4)


@pytest.mark.parametrize("mode", MODES)
def test_empty_batches_give_empty_results(mode):
    x = T.tensor4()
    W = theano.shared(np.ones((5, 2, 3, 3), "float32"))
    pooled = T.signal.pool.pool_2d(T.nnet.conv2d(x, W), (2, 2), ignore_border=True)
    gradients = T.grad(pooled.sum(), [x, W])
    f = theano.function([x], [T.nnet.softmax(pooled.flatten(2)), *gradients], mode=mode)
    out, to_x, to_W = f(np.zeros((0, 2, 8, 8), "float32"))
    assert out.shape == (0, 5 * 3 * 3)
    assert to_x.shape == (0, 2, 8, 8)
    np.testing.assert_array_equal(to_W, np.zeros((5, 2, 3, 3)))


@pytest.mark.parametrize("mode", MODES)
def test_empty_shared_variables_and_indices_are_values_like_others(mode):
    data, rows, total = theano.shared(array(4, 3), "data"), T.ivector("rows"), theano.shared(np.float32(7))
    f = theano.function([rows], data[rows], updates={total: total + data[rows].sum()}, mode=mode)
    assert f(np.zeros(0, "int32")).shape == (0, 3)
    assert total.get_value() == 7
    np.testing.assert_array_equal(f([2]), [[6, 7, 8]])
    data.set_value(array(0, 5))
    assert f(np.zeros(0, "int32")).shape == (0, 5)
    assert total.get_value() == 7 + 21


@pytest.mark.parametrize("setting", ["fast_run", "fast_compile", "merge", "None"])
def test_every_optimizer_setting_compiles_a_small_net(setting):
    x, W = T.matrix("x"), theano.shared(array(3, 2), "W")
    loss = T.nnet.relu(T.dot(x, W)).mean()
    with theano.config.change_flags(optimizer=setting):
        f = theano.function([x], loss, updates={W: W - T.grad(loss, W)})
        np.testing.assert_allclose(f(array(4, 3)), (array(4, 3) @ array(3, 2)).mean(), rtol=1e-6)
    np.testing.assert_allclose(W.get_value(), array(3, 2) - array(4, 3).sum(axis=0)[:, None] / 8, rtol=1e-6)


# Types


@pytest.mark.parametrize("mode", MODES)
def test_int64_counts_past_32_bits(mode):
    counter = theano.shared(2**40, "counter")
    f = theano.function([], counter * 2, updates={counter: counter + 2**33}, mode=mode)
    assert f() == 2**41
    assert counter.get_value() == 2**40 + 2**33
    assert f().dtype == counter.get_value().dtype == np.int64


@pytest.mark.parametrize("mode", MODES)
def test_float64_variables_compute_in_float64(mode):
    x, W = T.dmatrix("x"), theano.shared(np.full((1, 1), 1 / 3), "W")
    loss = T.exp(T.dot(x, W)).sum()
    f = theano.function([x], loss, updates={W: W - 1e-12 * T.grad(loss, W)}, mode=mode)
    np.testing.assert_allclose(f(np.full((1, 1), 1 / 7)), np.exp(1 / 21), rtol=1e-15)
    np.testing.assert_allclose(W.get_value(), 1 / 3 - 1e-12 * np.exp(1 / 21) / 7, rtol=1e-16)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "int64", "float32", "float64", "bool"])
def test_dtypes_pass_through(dtype):
    x = T.TensorType(dtype, (False,))("x")
    s = theano.shared(np.ones(2, dtype), "s")
    f = theano.function([x], [x, T.switch(x.astype("bool"), x, s)], updates={s: x})
    for out in f(np.array([0, 1], dtype)):
        assert out.dtype == dtype
    assert s.get_value().dtype == dtype


# Memory


@pytest.mark.parametrize("mode", MODES)
def test_outputs_belong_to_the_caller(mode):
    x, s = T.vector(), theano.shared(array(3), "s")
    f = theano.function([x], [x, s, s + 0, s.T, T.constant(array(3))], updates={s: s + 1}, mode=mode)
    value = array(3)
    results = f(value)
    for r in results:
        r += 1000
    np.testing.assert_array_equal(value, array(3))
    np.testing.assert_array_equal(s.get_value(), array(3) + 1)
    again = f(value)
    np.testing.assert_array_equal(results, [array(3) + 1000] * 5)
    np.testing.assert_array_equal(again, [array(3), *[array(3) + 1] * 3, array(3)])


@pytest.mark.parametrize("outputs", [lambda x: [], lambda x: [x, T.constant(1)]], ids=["none", "early"])
def test_inputs_may_be_changed_as_soon_as_a_call_returns(outputs):
    size, x = 700, T.matrix("x")
    product = x
    for _ in range(5):
        product = T.dot(product, x) / size
    s = theano.shared(array(size, size), "s")
    f = theano.function([x], outputs(x), updates={s: product})
    # JAX reads an array in place where it begins at a multiple of 64 bytes.
    memory = np.empty(size * size + 16, "float32")
    offset = -memory.ctypes.data % 64 // 4
    value = memory[offset : offset + size * size].reshape(size, size)
    for _ in range(4):
        value[:] = 1
        f(value)
        value[:] = 5
        np.testing.assert_array_equal(s.get_value(), np.ones((size, size)))


@pytest.mark.parametrize("mode", MODES)
def test_a_compiled_function_can_be_neither_pickled_nor_copied(mode):
    x = T.scalar()
    f = theano.function([x], x, name="identity", mode=mode)
    f(1)
    pickles = [lambda f, p=p: pickle.dumps([f], p) for p in range(pickle.HIGHEST_PROTOCOL + 1)]
    for duplicate in (*pickles, copy.copy, copy.deepcopy, lambda f: copy.deepcopy({"f": f})):
        with pytest.raises(TypeError, match="'identity' holds a compiled program") as caught:
            duplicate(f)
        assert "\n" not in str(caught.value) and "compile it again" in str(caught.value)
    assert f(2) == 2


# Graphs that JAX cannot express


def test_an_op_without_jax_version_falls_back_with_one_warning():
    x, s = T.vector("x"), theano.shared(array(3), "s")
    f = theano.function([x], Triple()(x) + s, updates={s: s + 1}, name="tripling")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        results = [f(array(3)), f(array(3)), f(array(3))]
    assert len(caught) == 1, [str(w.message) for w in caught]
    message = str(caught[0].message)
    assert "Triple" in message and "'tripling'" in message and "\n" not in message
    assert caught[0].filename == __file__
    np.testing.assert_array_equal(results, [4 * array(3), 4 * array(3) + 1, 4 * array(3) + 2])
    np.testing.assert_array_equal(s.get_value(), array(3) + 3)


@pytest.mark.parametrize(
    "build, value, expected",
    [
        (lambda n: T.constant(array(6))[T.constant(array(6)) > n], 3, [4, 5]),
        (lambda n: T.nonzero(T.constant(array(6)) > n)[0], 3, [4, 5]),
    ],
    ids=["mask", "nonzero"],
)
def test_shapes_that_depend_on_values_fall_back(build, value, expected, monkeypatch):
    # PyTensor's default backend takes seconds to compile, and which one it is does not matter here.
    monkeypatch.setattr("pytensor.config.mode", "FAST_COMPILE")
    n = T.iscalar("n")
    f = theano.function([n], build(n))
    with pytest.warns(UserWarning, match="since JAX cannot"):
        np.testing.assert_array_equal(f(value), expected)


@pytest.mark.parametrize("first", MODES)
def test_functions_of_two_modes_share_a_variable(first):
    s = theano.shared(array(3), "s")
    f = theano.function([], s * 2, updates={s: s + 1}, mode=first)
    g = theano.function([], s * 2, updates={s: s + 1}, mode=MODES[1 - MODES.index(first)])
    for step in range(6):
        np.testing.assert_array_equal((f if step % 2 else g)(), 2 * (array(3) + step))
    np.testing.assert_array_equal(s.get_value(), array(3) + 6)


def test_errors_of_the_graph_are_raised_and_not_taken_for_a_missing_feature():
    x = T.matrix("x")
    f = theano.function([x], T.dot(x, T.ones((5, 2))))
    with pytest.raises(Exception, match="(?i)shape|dimension"):
        f(array(4, 3))
    np.testing.assert_array_equal(f(np.ones((1, 5), "float32")), [[5, 5]])


# Variable.eval


def test_eval_computes_a_variable_from_its_inputs():
    x, y = T.scalar("x"), T.scalar("y")
    assert (x - y).eval({x: 5, y: 3}) == 2
    difference = x - y + theano.shared(np.float32(0))
    assert difference.eval({"x": 5, "y": 3}) == 2
    assert difference.eval({y: 1, x: 5}) == 4
    with pytest.raises(ValueError, match="0 variables .* named 'z'"):
        difference.eval({"z": 1})


def test_eval_reads_shared_variables_that_functions_have_used():
    s = theano.shared(array(3), "s")
    f = theano.function([], updates={s: s + 1})
    f()
    doubled = s * 2
    np.testing.assert_array_equal(doubled.eval(), 2 * (array(3) + 1))
    f()
    np.testing.assert_array_equal(doubled.eval(), 2 * (array(3) + 2))
    np.testing.assert_array_equal(s.eval(), array(3) + 2)


def test_each_is_as_many_calls():
    x, n = T.vector("x"), T.iscalar("n")
    stored = [theano.shared(np.float32(1), "s") for _ in range(2)]
    functions = [
        theano.function([x, n], {"sum": x.sum() * s, "last": x[-1] + n}, updates={s: s + x[0]})
        for s in stored
    ]
    xs, ns = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32), np.arange(5, dtype=np.int32)
    found = functions[0].each(xs, ns)
    calls = [functions[1](*entry) for entry in zip(xs, ns, strict=True)]
    for key in ("sum", "last"):
        np.testing.assert_array_equal(found[key], [call[key] for call in calls])
    assert stored[0].get_value() == stored[1].get_value() != 1
    assert [f.compilations for f in functions] == [1, 1]
    assert str(functions[0].versions[0]) == "each of x (3,), n (), s (): 5 calls"


def test_each_does_what_one_program_cannot():
    x = T.vector("x")
    grown = theano.shared(np.zeros(1, np.float32))
    function = theano.function([x], grown.sum(), updates={grown: T.concatenate([grown, x])})
    np.testing.assert_array_equal(function.each(np.ones((3, 2), np.float32)), [0, 2, 4])
    assert len(grown.get_value()) == 7
    python = theano.function([x], [x * 2], mode="FAST_COMPILE")
    np.testing.assert_array_equal(python.each(np.ones((3, 2), np.float32))[0], np.full((3, 2), 2))
    n = T.iscalar("n")
    sliced = theano.function([x, n], x[:n].sum())
    np.testing.assert_array_equal(sliced.each(np.ones((3, 4), np.float32), np.arange(3)), [0, 1, 2])


def test_each_error_names_what_does_not_fit():
    x, i = T.vector("x"), T.ivector("i")
    function = theano.function([x, i], x[i], name="pick")
    ones = np.ones((2, 3))
    for arguments in ([], [ones], [ones, np.zeros((3, 1))], [np.ones((0, 3)), []], [1, 2]):
        with pytest.raises(ValueError, match="each takes 2 arrays of one length, at least 1; got shapes"):
            function.each(*arguments)
    with pytest.raises(IndexError, match="'pick' was asked for elements that do not exist"):
        function.each(np.ones((2, 3), np.float32), np.array([[1], [3]], np.int32))


def test_an_input_with_an_update_keeps_what_a_call_makes_of_it():
    """The results are Theano's."""
    step, state = T.dscalar("step"), T.dscalar()
    f = theano.function(
        [step, theano.In(state, value=10.0, update=state + step, name="state")], [state * 2, step]
    )
    assert f(1)[0] == 20 and f(1)[0] == 22
    assert f["state"] == f[state] == f.value["state"] == 12
    f["state"] = 100
    assert f(1)[0] == 200 and f(1, 5)[0] == 10 and f(1) == [12, 1]
    assert f(1, state=7)[0] == 14 and f["state"] == 8
    with pytest.raises(TypeError, match="no value"):
        theano.function([step, theano.In(state, update=state + step)], state)(1)
    with pytest.raises(KeyError, match="nothing"):
        f["nothing"]


@pytest.fixture
def adder():
    """A function that adds to a shared variable, and that variable."""
    x, s = T.matrix("x"), theano.shared(np.float32(1), "s")
    return theano.function([x], x.sum() * s, updates={s: s + 1}, name="adder"), s


@pytest.mark.parametrize("mode", MODES)
def test_a_copy_shares_variables_swaps_them_or_leaves_updates_out(mode):
    """The results are Theano's."""
    x, s, other = T.matrix("x"), theano.shared(np.float32(1), "s"), theano.shared(np.float32(100))
    f = theano.function([x], x.sum() * s, updates={s: s + 1}, name="adder", mode=mode)
    ones = array(2, 2) * 0 + 1
    assert f.copy()(ones) == [4] and s.get_value() == 2 and f(ones) == 8
    assert f.copy(share_memory=True)(ones) == [12]
    still = f.copy(delete_updates=True)
    assert still(ones) == still(ones) == [16] and s.get_value() == 4
    swapped = f.copy(swap={s: other})
    assert [*swapped(ones), *swapped(ones), other.get_value(), s.get_value()] == [400, 404, 102, 4]
    assert (f.copy(name="other").name, still.name) == ("other", "adder copy")


def test_a_swap_must_be_of_a_variable_that_is_there_and_of_its_type(adder):
    f, s = adder
    with pytest.raises(TypeError, match="cannot be swapped"):
        f.copy(swap={s: theano.shared(np.zeros(3, "float32"))})
    with pytest.raises(ValueError, match="no shared variable"):
        f.copy(swap={theano.shared(np.float32(1)): s})


def test_a_function_s_graph_and_storage_can_be_looked_at(adder, capsys):
    f, s = adder
    fgraph = f.maker.fgraph
    assert [v.name for v in fgraph.inputs] == ["x", "s"] and len(fgraph.outputs) == 2
    assert any("Sum" in str(node.op) for node in fgraph.toposort())
    assert [o.variable.type for o in f.maker.outputs] == [T.fscalar] and f.maker.inputs[0].name == "x"
    theano.printing.debugprint(f)
    assert "Sum" in capsys.readouterr().out
    f.input_storage[0].storage[0] = array(2, 2)
    assert f.fn() == [6] and f.output_storage[0].value == 6 and s.get_value() == 2
    f.trust_input = True
    assert f(array(2, 2)) == 12 and f["s"] == 3
    f["s"] = 10
    assert f(array(2, 2)) == 60
    assert isinstance(f["s"], np.ndarray)
