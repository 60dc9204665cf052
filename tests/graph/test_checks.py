"""What is refused in a graph, and that what lies just within each limit is not."""

from dataclasses import fields, replace
from types import UnionType
from typing import get_args

import numpy as np
import pytest
from small_models import NO_PAD, data, every_operation, image, numbers, parameter, signs

from xnornet.errors import ModelError
from xnornet.fixedpoint import Q
from xnornet.graph import (
    XNOR,
    Add,
    Affine,
    AveragePool,
    Clip,
    Concatenate,
    Flatten,
    Graph,
    LeakyRectify,
    Linear,
    MaxPool,
    Node,
    Pad,
    Quantize,
    Rectify,
    Requantize,
    Reshape,
    ScaledBias,
    Signs,
    Slice,
    Upscale,
    Window,
    check_graph,
)
from xnornet.graph.operation import KINDS, kind_of_field

WHOLE = Window((1, 1), (1, 1), NO_PAD)


@pytest.fixture
def model():
    return every_operation()


def changed(model, index, **fields):
    operations = list(model.operations)
    operations[index] = replace(operations[index], **fields)
    return Graph.chain(model.input_shape, operations)


def assert_refused(model, message):
    with pytest.raises(ModelError, match=message) as error:
        check_graph(model)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("operation", KINDS.values())
def test_annotations_that_are_read_at_run_time_are_classes(operation):
    """Hints of NumPy's are classes in some of its versions only."""
    for field in fields(operation):
        kind, _ = kind_of_field(field)
        assert isinstance(kind, type)
        hints = get_args(field.type) if isinstance(field.type, UnionType) else (field.type,)
        assert kind is not np.ndarray or np.ndarray in hints


def test_a_model_of_every_record_passes(model):
    kinds = {XNOR, Affine, Linear, MaxPool, Quantize, Rectify, ScaledBias}
    assert {type(r) for r in model.operations} == kinds
    check_graph(model)
    check_graph(Graph.chain(model.input_shape, [*model.operations, Flatten()]))


@pytest.mark.parametrize(
    "shape", [(), (2, 5, 1, 1), (2, 5, 0), (2, 5, -1), (2, 5, 5.0), (2, 5, True), [2, 5, 5], (2, 5, 1 << 25)]
)
def test_an_input_has_channels_rows_and_columns(model, shape):
    assert_refused(
        replace(model, input_shape=shape),
        r"1 to 3 lengths, such as \(channels, rows, columns\), each 1 to 16777216; found",
    )


def test_an_input_has_bounded_memory(model):
    assert_refused(replace(model, input_shape=(1 << 20, 1 << 4, 1 << 4)), "at most 134217728 numbers")


def test_an_image_has_no_format_so_fine_that_floats_are_flushed_in_it(model):
    first = Quantize(Q(15, -86))
    assert_refused(
        Graph.chain(model.input_shape, [first, *model.operations[1:]]), "at most 100 fraction bits; found 101"
    )


@pytest.mark.parametrize("order", [[], [1, 2], [1, 0, 2], [0, 0, 1]])
def test_the_input_is_quantized_first_and_once(model, order):
    layers = [model.operations[i] for i in order]
    assert_refused(
        Graph.chain(model.input_shape, layers), "in its first node and nowhere else; found [012] such"
    )


def test_what_is_no_operation_is_refused(model):
    assert_refused(
        Graph.chain(model.input_shape, [model.operations[0], "xnor"]), "^node 1: str is no operation"
    )


def test_scores_may_have_any_shape(model):
    check_graph(Graph.chain(model.input_shape, model.operations[:-2]))


def test_the_format_of_the_scores_is_the_last_one(model):
    assert model.q_out == Q(14, 5)
    assert Graph.chain(model.input_shape, model.operations[:-2]).q_out == data


def of_nodes(model, *inputs):
    """The operations of a model on other inputs."""
    nodes = zip(model.operations, inputs, strict=True)
    return Graph(model.input_shape, tuple(Node(operation, own) for operation, own in nodes))


CHAIN = [(), *((i,) for i in range(7))]


@pytest.mark.parametrize(
    "index, inputs, message",
    [
        (0, (1,), r"node 0 \(quantize\): should have 0 inputs; found \(1,\)"),
        (0, (0,), r"node 0 \(quantize\): should have 0 inputs"),
        (2, (2,), r"node 2 \(affine\): inputs should be nodes before it; found 2"),
        (2, (5,), r"node 2 \(affine\): inputs should be nodes before it; found 5"),
        (2, (-1,), r"node 2 \(affine\): inputs should be nodes before it; found -1"),
        (2, (True,), r"node 2 \(affine\): inputs should be nodes before it; found True"),
        (2, (), r"node 2 \(affine\): should have 1 inputs; found \(\)"),
        (2, (0, 1), r"node 2 \(affine\): should have 1 inputs"),
        (2, [1], r"node 2 \(affine\): should have 1 inputs; found \[1\]"),
        (5, (3,), r"each node but the last should be used; node 4 is not"),
    ],
)
def test_nodes_come_behind_their_inputs(model, index, inputs, message):
    own = list(CHAIN)
    own[index] = inputs
    assert_refused(of_nodes(model, *own), message)


def added(**fields):
    """The sum of an image and of half of it."""
    half = Affine(numbers(2) + 2**14, Q(15, 0), numbers(2), Q(15, 8), image, data)
    both = Add(np.array([2**14, -(2**14)]), Q(15, 1), (0, 5), Q(15, 3), data)
    both = replace(both, **{"shifts": (5, 0), "q_in": Q(15, 3), **fields})
    nodes = (Node(Quantize(image)), Node(half, (0,)), Node(both, (0, 1)))
    return Graph((2, 3, 3), nodes)


@pytest.mark.parametrize(
    "fields, message",
    [
        ({"shifts": (0, 5)}, r"shifts should bring inputs of Q\(7, 0\), Q\(15, 3\) to Q\(15, 3\)"),
        ({"shifts": (5,)}, "shifts should bring"),
        ({"shifts": (4, -1), "q_in": Q(14, 3)}, "shifts should bring"),
        ({"q_in": Q(11, -1)}, "q_in should have the most bits of an input"),
        ({"coefficients": np.array([1, 2, 3])}, r"coefficients should have shape \(2,\)"),
        ({"coefficients": np.array([1, 2**15])}, "coefficients should lie within"),
        ({"q_out": Q(15, -20)}, "q_out should have at most"),
    ],
)
def test_a_sum_is_of_numbers_in_one_format(fields, message):
    check_graph(added())
    assert_refused(added(**fields), rf"^node 2 \(add\): {message}")


def test_branches_that_meet_have_one_shape():
    pool = MaxPool(Window((2, 2), (1, 1), NO_PAD), True)
    nodes = (Node(Quantize(image)), Node(pool, (0,)))
    both = Add(np.array([1, 1]), Q(15, 15), (0, 0), image, image)
    assert_refused(Graph((2, 3, 3), (*nodes, Node(both, (0, 1)))), "inputs of a sum should have one shape")
    meet = Node(Concatenate(), (0, 1))
    assert_refused(Graph((2, 3, 3), (*nodes, meet)), "should differ in their first length only")
    other = Node(Requantize(image, data), (0,))
    assert_refused(Graph((2, 3, 3), (nodes[0], other, meet)), "should have one format; found Q")


@pytest.mark.parametrize(
    "operation, message",
    [
        (Pad((1, 0, 1 << 23), (1, 0, 1 << 23)), "at most 134217728 numbers"),
        (Pad((0, 0), (0, 0)), "one number for each axis"),
        (Pad((0, 0, -1), (0, 0, 0)), "padding should be 0 to"),
        (Upscale((1 << 15, 1 << 15)), "at most 134217728 numbers"),
        (Upscale((0, 1)), "scale should be 1 to"),
        (Upscale((2, 2, 2)), "upscaled by two"),
        (Reshape((2, 8)), r"lengths should hold an input of \(2, 3, 3\)"),
        (Reshape((2, -9)), "lengths should be 1 to"),
        (Reshape((2, 3, 3, 1)), "an output should have 1 to 3 lengths"),
        (Slice(3, 0, 1), "a slice should lie within"),
        (Slice(1, 2, 2), "a slice should lie within"),
        (Slice(1, 0, 4), "a slice should lie within"),
        (Slice(1, 0, 3, 0), "step should be 1 to"),
        (Requantize(data, image), r"q_in should be Q\(7, 0\)"),
        (Requantize(image, Q(15, -900)), r"no exact result should reach 2\*\*62"),
        (Clip(np.array([1, 0]), image), "the lower one and the upper one"),
        (Clip(np.array([0, 1]), data), r"q_limits should be Q\(7, 0\)"),
        (Clip(np.array([0, 1, 2]), image), "limits should have shape"),
        (LeakyRectify(np.array([3]), Q(15, 77), image, Q(15, 9)), "q_slope should have fewer than 62"),
        (LeakyRectify(np.array([3]), Q(15, -41), image, Q(15, 9)), r"no exact result should reach"),
        (
            AveragePool(Window((2, 2), (1, 1), NO_PAD), True, numbers(3, 3), data, image, data),
            "factor should",
        ),
        (
            MaxPool(Window((2, 2), (1, 1), NO_PAD, (2, 1)), True),
            "a pooling window should have a dilation of 1",
        ),
        (
            Linear(numbers(4, 1, 1, 1, dtype=np.int16), data, None, data, WHOLE, image, data, 3),
            "groups should",
        ),
        (Linear(numbers(4, 18, dtype=np.int16), data, None, data, None, image, data, 2), "one group"),
    ],
)
def test_each_operation_is_compared_with_its_input(operation, message):
    assert_refused(Graph.chain((2, 3, 3), [Quantize(image), operation]), rf"^node 1 \(.*\): .*{message}")


WEIGHTS = "weights should have shape"


@pytest.mark.parametrize(
    "index, fields, message",
    [
        (1, {"signs": signs(9, 3, 3, 2)}, WEIGHTS),
        (1, {"signs": signs(9, 2, 2, 2)}, WEIGHTS),
        (1, {"signs": signs(9, 50)}, WEIGHTS),
        (1, {"window": None}, WEIGHTS),
        (6, {"signs": signs(6, 17)}, WEIGHTS),
        (6, {"signs": signs(6, 4, 2, 2)}, WEIGHTS),
        (7, {"W": numbers(3, 5, dtype=np.int16)}, WEIGHTS),
        (7, {"W": numbers(3, 6, 1, dtype=np.int16)}, WEIGHTS),
        (7, {"W": numbers(0, 6, dtype=np.int16)}, "none of them 0"),
        (7, {"W": numbers(3, dtype=np.int16)}, "found shape"),
        (7, {"W": np.array(1, np.int16)}, "found shape"),
        (1, {"signs": Signs(np.zeros((0, 3, 2, 1), np.uint8), 2)}, "none of them 0"),
        (1, {"signs": Signs(np.zeros((9, 3, 0, 1), np.uint8), 2)}, "none of them 0"),
        (1, {"alpha": numbers(8)}, r"alpha should have shape \(9,\); found \(8,\)"),
        (1, {"alpha": numbers(9, 1)}, "alpha should have shape"),
        (1, {"b": numbers(8)}, "b should have shape"),
        (1, {"b": numbers(9, 5, 2)}, r"b should have shape \(9, 5, 3\); found \(9, 5, 2\)"),
        (1, {"b": numbers(9, 5)}, "b should have shape"),
        (1, {"b": np.array(1)}, "b should have shape"),
        (6, {"b": numbers(5)}, "b should have shape"),
        (7, {"b": numbers(3, 1, 1)}, "b should have shape"),
        (2, {"scale": numbers(8)}, "scale should have shape"),
        (2, {"b": numbers(10)}, "b should have shape"),
    ],
)
def test_shapes_follow_from_one_another(model, index, fields, message):
    assert_refused(changed(model, index, **fields), rf"^node {index} .*{message}")


def test_a_batch_norm_of_a_vector_has_one_of_each_for_every_feature(model):
    def normalized(n):
        affine = Affine(numbers(n), parameter, numbers(n), Q(15, 2), model.q_out, model.q_out)
        return Graph.chain(model.input_shape, [*model.operations, affine])

    check_graph(normalized(3))
    assert_refused(normalized(4), r"node 8 \(affine\): scale should have shape \(3,\)")


def test_a_convolution_takes_no_vector(model):
    layers = [model.operations[0], Flatten(), model.operations[1]]
    assert_refused(Graph.chain(model.input_shape, layers), r"node 2 .* a window should move over")


@pytest.mark.parametrize(
    "index, fields",
    [
        (1, {"signs": Signs(signs(9, 2, 3, 2).bits.astype(np.int64), 2)}),
        (1, {"alpha": numbers(9).astype(np.int32)}),
        (1, {"alpha": numbers(9).astype(float)}),
        (1, {"alpha": [1] * 9}),
        (1, {"b": numbers(9).astype(np.dtype(np.int64).newbyteorder())}),
        (6, {"b": numbers(6).astype(np.uint64)}),
        (2, {"b": None}),
        (7, {"W": numbers(3, 6)}),
    ],
)
def test_arrays_have_the_type_of_their_field(model, index, fields):
    assert_refused(
        changed(model, index, **fields),
        rf"^node {index} .* should be (an array of u?int|of type ndarray; found list|there; found none)",
    )


@pytest.mark.parametrize("channels", [1, 7, 8])
def test_bits_past_the_last_channel_are_zero(channels):
    bits = np.full((2, 1), 0xFF, np.uint8)
    signs = Signs(bits, channels)
    dense = XNOR(signs, numbers(2), parameter, None, parameter, True, None, image, data)
    model = Graph.chain((channels, 1, 1), [Quantize(image), dense])
    if channels == 8:
        check_graph(model)
    else:
        assert_refused(model, "bits past the last channel should be 0; found 1")


@pytest.mark.parametrize("channels", [8, 17, 0, -1, True, 16.0])
def test_signs_have_a_byte_for_every_8_channels(model, channels):
    bits = signs(6, 16).bits
    assert_refused(changed(model, 6, signs=Signs(bits, channels)), "with a byte for every 8 channels")


SIGNED = [
    (index, name, sign)
    for index, name in ((1, "b"), (2, "scale"), (2, "b"), (6, "b"), (7, "b"))
    for sign in (1, -1)
]


@pytest.mark.parametrize("index, name, sign", [(1, "alpha", 1), *SIGNED])
def test_numbers_lie_within_their_format(model, index, name, sign):
    record = model.operations[index]
    array = getattr(record, name).copy()
    format_name = f"q_{name}"
    limit = 2**15 - 1
    array[-1] = sign * limit
    check_graph(changed(model, index, **{name: array}))
    array[-1] = sign * (limit + 1)
    assert_refused(changed(model, index, **{name: array}), f"{name} should lie within {limit} of 0 in Q")
    narrow = Q(5, 5 - getattr(record, format_name).f)
    array[:] = numbers(*array.shape) % 32
    check_graph(changed(model, index, **{name: array, format_name: narrow}))
    array[0] = 32 * sign
    assert_refused(
        changed(model, index, **{name: array, format_name: narrow}), f"{name} should lie within 31"
    )


def test_the_least_16_bit_word_is_no_weight(model):
    W = numbers(3, 6, dtype=np.int16)
    W[1, 2] = -(2**15)
    assert_refused(changed(model, 7, W=W), "W should lie within 32767 of 0")


def test_no_alpha_is_negative(model):
    assert_refused(changed(model, 1, alpha=numbers(9) - 1), "alpha should be at least 0; found -1")


@pytest.mark.parametrize(
    "index, name",
    [(0, "q_out"), *((i, n) for i in (1, 2, 6, 7) for n in ("q_b", "q_in", "q_out"))]
    + [(1, "q_alpha"), (2, "q_scale"), (6, "q_alpha"), (7, "q_W")],
)
@pytest.mark.parametrize("q", [Q(16, 3), Q(15, 1001), Q(15, -1001), None])
def test_formats_are_words_of_16_bits(model, index, name, q):
    if q is None and getattr(model.operations[index], name.removeprefix("q_"), 0) is None:
        check_graph(changed(model, index, **{name: q}))
        return
    assert_refused(changed(model, index, **{name: q}), rf"^node {index} .*{name} should have at most 15 bits")


@pytest.mark.parametrize("index", [1, 2, 3, 6, 7])
def test_a_layer_takes_the_format_of_the_one_before(model, index):
    q = Q(14, model.operations[index].q_in.int_bits - 1)
    assert_refused(changed(model, index, q_in=q), r"q_in should be Q\(.*\), which .* found Q\(14")


@pytest.mark.parametrize("index, product_f", [(1, 17 + 7), (2, 17 + 12), (3, 17), (6, 17 + 12), (7, 17 + 12)])
def test_every_rounding_is_a_shift_to_the_right(model, index, product_f):
    layers = model.operations[: index + 1]
    last = replace(layers[-1], q_out=Q(15, 15 - product_f))
    check_graph(Graph.chain((2, 5, 5), [*layers[:-1], last, Flatten()]))
    last = replace(layers[-1], q_out=Q(15, 15 - product_f - 1))
    assert_refused(
        Graph.chain((2, 5, 5), [*layers[:-1], last, Flatten()]),
        f"q_out should have at most the {product_f} fraction bits of the product",
    )


@pytest.mark.parametrize(
    "index, name, product_f", [(1, "b", 24), (2, "b", 29), (3, "b", 17), (6, "b", 17), (7, "b", 29)]
)
def test_a_bias_is_shifted_to_the_left_within_64_bits(model, index, name, product_f):
    zeros = np.zeros_like(getattr(model.operations[index], name))
    for shift in (0, 62):
        q = Q(15, 15 - product_f + shift)
        check_graph(changed(model, index, **{name: zeros, f"q_{name}": q}))
    for shift in (-1, 63):
        q = Q(15, 15 - product_f + shift)
        wrong = changed(model, index, **{name: zeros, f"q_{name}": q})
        assert_refused(wrong, f"q_{name} should have at most the {product_f} fraction bits")


def dense(fan_in_of_axes, record):
    return Graph.chain(fan_in_of_axes, [Quantize(record.q_in), record])


@pytest.mark.parametrize(
    "scale_inputs, q_in, unit", [(True, Q(15, 0), 2**40 * (2**15 - 1)), (True, Q(9, 0), 2**40 * 511)]
)
def test_no_sum_of_a_binary_layer_reaches_two_to_the_62(scale_inputs, q_in, unit):
    largest = (2**62 - 1) // unit
    few = Signs.pack(np.ones((2, 2**20), np.int8))

    def model(alpha):
        alpha = np.array([1, alpha])
        return dense(
            (1, 1024, 1024), XNOR(few, alpha, Q(15, 0), None, Q(15, 0), scale_inputs, None, q_in, Q(15, 9))
        )

    check_graph(model(largest))
    assert_refused(model(largest + 1), r"no exact result should reach 2\*\*62; this one may reach")


def test_no_sum_with_its_bias_reaches_two_to_the_62():
    q = Q(1, 0)
    exact = Q(15, 15 + 48 - 1)  # a bias of this format is shifted by 48

    def model(scale, b):
        record = Affine(np.array([scale]), Q(15, 15), np.array([b]), exact, q, Q(15, 20))
        return Graph.chain((1, 1, 1), [Quantize(q), record, Flatten()])

    assert model(0, 0).operations[1].fraction_bits() - exact.f == 48
    check_graph(model(32767, 2**14 - 1))
    check_graph(model(-32767, 1 - 2**14))
    assert_refused(model(0, 2**14), f"this one may reach {2**62}")
    assert_refused(model(0, -(2**14)), f"this one may reach {2**62}")


def test_no_sum_of_a_scaled_bias_reaches_two_to_the_62():
    few = signs(1, 4)
    q = Q(1, 0)

    def model(b):
        record = ScaledBias(few, np.array([1]), Q(15, 15), np.array([b]), Q(15, 61), q, Q(15, 20))
        return dense((4, 1, 1), record)

    # (4 * alpha + b * 2**46) * 4 of the magnitudes
    check_graph(model(2**14 - 1))
    assert_refused(model(2**14), f"this one may reach {2**62 + 16}")


def test_sums_in_the_simulations_floats_are_exact():
    def model(fan_in):
        few = Signs(np.zeros((1, fan_in // 8), np.uint8), fan_in)
        record = XNOR(few, np.array([1]), Q(15, 0), None, data, False, None, image, Q(15, 9))
        return dense((fan_in // 1024, 32, 32), record)

    check_graph(model(2**23 - 1024))
    assert_refused(model(2**23), "a sum over fewer than 8388608 inputs; found 8388608")


def with_window(model, index, **fields):
    return changed(model, index, window=replace(model.operations[index].window, **fields))


@pytest.mark.parametrize("index", [1, 4])
@pytest.mark.parametrize("value", [0, -1, 1.0, True, 1 << 25])
def test_sizes_and_strides_are_counts(model, index, value):
    for field in ("size", "stride"):
        assert_refused(
            with_window(model, index, **{field: (1, value)}), "sizes, strides and dilations should be 1 to"
        )


@pytest.mark.parametrize("index", [1, 4])
@pytest.mark.parametrize("value", [-1, 0.0, False, 1 << 25])
def test_padding_is_counted(model, index, value):
    assert_refused(with_window(model, index, pad=((0, 0), (value, 0))), "padding should be 0 to")


@pytest.mark.parametrize("index", [1, 4])
@pytest.mark.parametrize(
    "fields",
    [{"size": (1,)}, {"size": [1, 1]}, {"size": 1}, {"stride": (1, 1, 1)}]
    + [{"pad": pad} for pad in (0, (0, 0), ((0, 0),), ((0, 0), (0,)), [(0, 0), (0, 0)])],
)
def test_windows_have_two_axes(model, index, fields):
    assert_refused(
        with_window(model, index, **fields), "a window should have two sizes, two strides, two dil"
    )


def test_pooling_has_a_window(model):
    assert_refused(changed(model, 4, window=None), "window should be there; found none")


@pytest.mark.parametrize("pad", [((2, 0), (0, 1)), ((0, 0), (0, 3))])
def test_no_pooling_window_holds_nothing_but_padding(model, pad):
    assert_refused(with_window(model, 4, pad=pad), r"padding should be smaller than the window, \(2, 3\)")


def test_only_pooling_that_ignores_the_border_has_padding(model):
    assert_refused(changed(model, 4, ignore_border=False), "only pooling that ignores the border should have")


@pytest.mark.parametrize("index, axis", [(1, 0), (1, 1), (4, 0), (4, 1)])
def test_a_window_fits_its_input(model, index, axis):
    size = list(model.operations[index].window.size)
    size[axis] = 9
    wrong = with_window(model, index, size=tuple(size))
    if index == 1:
        wrong = changed(wrong, 1, signs=signs(9, 2, *size))
    assert_refused(wrong, "a window should fit its padded input")


@pytest.mark.parametrize("pad", [(0, 1 << 22), (1 << 22, 0)])
def test_padding_asks_for_bounded_memory(pad):
    # One row of it is small; the padded input of 64 channels is not, although its stride gives few outputs.
    window = Window((1, 1), (1 << 23, 1 << 23), ((0, 0), pad))
    conv = Linear(np.ones((1, 64, 1, 1), np.int16), parameter, None, parameter, window, image, data)
    model = Graph.chain((64, 1, 1), [Quantize(image), conv, Flatten()])
    assert_refused(model, "at most 134217728 numbers for an image")


def test_a_pooling_window_asks_for_bounded_memory():
    pool = MaxPool(Window((1 << 14, 1 << 14), (1, 1), NO_PAD), False)
    model = Graph.chain((1, 4, 4), [Quantize(image), pool, Flatten()])
    assert_refused(model, "at most 134217728 numbers for an image")


def test_layers_together_ask_for_bounded_memory():
    layers = [Quantize(image), *[Rectify()] * 8, Flatten()]
    assert_refused(Graph.chain((1, 1 << 12, 1 << 12), layers), r"^node 7 \(rectify\): .* at most")
