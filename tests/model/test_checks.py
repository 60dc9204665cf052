"""What is refused in the records of a model, and that what lies just within each limit is not."""

from dataclasses import replace

import numpy as np
import pytest
from small_models import NO_PAD, data, every_record, image, numbers, parameter, signs

from xnornet.fixedpoint import Q
from xnornet.model import (
    XNOR,
    Affine,
    Flatten,
    Linear,
    MaxPool,
    ModelError,
    Quantize,
    QuantizedModel,
    Rectify,
    Signs,
    Window,
    check_model,
)


@pytest.fixture
def model():
    return every_record()


def changed(model, index, **fields):
    layers = list(model.layers)
    layers[index] = replace(layers[index], **fields)
    return replace(model, layers=layers)


def assert_refused(model, message):
    with pytest.raises(ModelError, match=message) as error:
        check_model(model)
    assert "\n" not in str(error.value)


def test_a_model_of_every_record_passes(model):
    assert {type(r) for r in model.layers} == {XNOR, Affine, Linear, MaxPool, Quantize, Rectify}
    check_model(model)
    check_model(replace(model, layers=[*model.layers, Flatten()]))


@pytest.mark.parametrize(
    "shape", [(), (2, 5), (2, 5, 0), (2, 5, -1), (2, 5, 5.0), (2, 5, True), [2, 5, 5], (2, 5, 1 << 25)]
)
def test_an_input_has_channels_rows_and_columns(model, shape):
    assert_refused(
        replace(model, input_shape=shape), r"\(channels, rows, columns\), each 1 to 16777216; found"
    )


def test_an_input_has_bounded_memory(model):
    assert_refused(replace(model, input_shape=(1 << 20, 1 << 4, 1 << 4)), "at most 134217728 numbers")


def test_an_image_has_no_format_so_fine_that_floats_are_flushed_in_it(model):
    first = Quantize(Q(15, -86))
    assert_refused(replace(model, layers=[first, *model.layers[1:]]), "at most 100 fraction bits; found 101")


@pytest.mark.parametrize("order", [[], [1, 2], [1, 0, 2], [0, 0, 1]])
def test_the_input_is_quantized_first_and_once(model, order):
    layers = [model.layers[i] for i in order]
    assert_refused(replace(model, layers=layers), "in its first layer and nowhere else; found [012] such")


def test_a_record_of_another_kind_is_refused(model):
    assert_refused(replace(model, layers=[model.layers[0], "xnor"]), r"^layer 1 \(str\): str is no record")


def test_the_output_is_a_vector_in_the_format_of_the_model(model):
    shorter = replace(model, layers=model.layers[:-2], q_out=data)
    assert_refused(shorter, r"vector of scores; its output has shape \(4, 2, 2\). End the network with")
    check_model(replace(shorter, layers=[*shorter.layers, Flatten()]))
    assert_refused(
        replace(model, q_out=data), r"the scores have format Q\(14, 5\); the model tells Q\(15, 3\)"
    )


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
        (6, {"c": numbers(5)}, "c should have shape"),
        (7, {"b": numbers(3, 1, 1)}, "b should have shape"),
        (2, {"scale": numbers(8)}, "scale should have shape"),
        (2, {"b": numbers(10)}, "b should have shape"),
    ],
)
def test_shapes_follow_from_one_another(model, index, fields, message):
    assert_refused(changed(model, index, **fields), rf"^layer {index} .*{message}")


def test_a_batch_norm_of_a_vector_has_one_of_each_for_every_feature(model):
    def normalized(n):
        affine = Affine(numbers(n), parameter, numbers(n), Q(15, 2), model.q_out, model.q_out)
        return replace(model, layers=[*model.layers, affine])

    check_model(normalized(3))
    assert_refused(normalized(4), r"layer 8 \(Affine\): scale should have shape \(3,\)")


def test_a_convolution_takes_no_vector(model):
    layers = [model.layers[0], Flatten(), model.layers[1]]
    assert_refused(replace(model, layers=layers), r"layer 2 .* a window should move over")


@pytest.mark.parametrize(
    "index, fields",
    [
        (1, {"signs": Signs(signs(9, 2, 3, 2).bits.astype(np.int64), 2)}),
        (1, {"alpha": numbers(9).astype(np.int32)}),
        (1, {"alpha": numbers(9).astype(float)}),
        (1, {"alpha": [1] * 9}),
        (1, {"b": numbers(9).astype(np.dtype(np.int64).newbyteorder())}),
        (6, {"c": numbers(6).astype(np.uint64)}),
        (2, {"b": None}),
        (7, {"W": numbers(3, 6)}),
    ],
)
def test_arrays_have_the_type_of_their_field(model, index, fields):
    assert_refused(changed(model, index, **fields), rf"^layer {index} .* should be an array of u?int")


@pytest.mark.parametrize("channels", [1, 7, 8])
def test_bits_past_the_last_channel_are_zero(channels):
    bits = np.full((2, 1), 0xFF, np.uint8)
    signs = Signs(bits, channels)
    dense = XNOR(signs, numbers(2), parameter, None, parameter, True, None, image, data)
    model = QuantizedModel((channels, 1, 1), [Quantize(image), dense], data)
    if channels == 8:
        check_model(model)
    else:
        assert_refused(model, "bits past the last channel should be 0; found 1")


@pytest.mark.parametrize("channels", [8, 17, 0, -1, True, 16.0])
def test_signs_have_a_byte_for_every_8_channels(model, channels):
    bits = signs(6, 16).bits
    assert_refused(changed(model, 6, signs=Signs(bits, channels)), "with a byte for every 8 channels")


SIGNED = [
    (index, name, sign)
    for index, name in ((1, "b"), (2, "scale"), (2, "b"), (6, "c"), (7, "b"))
    for sign in (1, -1)
]


@pytest.mark.parametrize("index, name, sign", [(1, "alpha", 1), *SIGNED])
def test_numbers_lie_within_their_format(model, index, name, sign):
    record = model.layers[index]
    array = getattr(record, name).copy()
    format_name = f"q_{name}"
    limit = 2**15 - 1
    array[-1] = sign * limit
    check_model(changed(model, index, **{name: array}))
    array[-1] = sign * (limit + 1)
    assert_refused(changed(model, index, **{name: array}), f"{name} should lie within {limit} of 0 in Q")
    narrow = Q(5, 5 - getattr(record, format_name).f)
    array[:] = numbers(*array.shape) % 32
    check_model(changed(model, index, **{name: array, format_name: narrow}))
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
    + [(1, "q_alpha"), (2, "q_scale"), (6, "q_c"), (7, "q_W")],
)
@pytest.mark.parametrize("q", [Q(16, 3), Q(15, 1001), Q(15, -1001), None])
def test_formats_are_words_of_16_bits(model, index, name, q):
    assert_refused(
        changed(model, index, **{name: q}), rf"^layer {index} .*{name} should have at most 15 bits"
    )


@pytest.mark.parametrize("index", [1, 2, 3, 6, 7])
def test_a_layer_takes_the_format_of_the_one_before(model, index):
    q = Q(14, model.layers[index].q_in.int_bits - 1)
    assert_refused(changed(model, index, q_in=q), r"q_in should be Q\(.*\), which .* found Q\(14")


@pytest.mark.parametrize("index, product_f", [(1, 17 + 7), (2, 17 + 12), (3, 17), (6, 17 + 12), (7, 17 + 12)])
def test_every_rounding_is_a_shift_to_the_right(model, index, product_f):
    layers = model.layers[: index + 1]
    last = replace(layers[-1], q_out=Q(15, 15 - product_f))
    check_model(QuantizedModel((2, 5, 5), [*layers[:-1], last, Flatten()], last.q_out))
    last = replace(layers[-1], q_out=Q(15, 15 - product_f - 1))
    assert_refused(
        QuantizedModel((2, 5, 5), [*layers[:-1], last, Flatten()], last.q_out),
        f"q_out should have at most the {product_f} fraction bits of the product",
    )


@pytest.mark.parametrize(
    "index, name, product_f", [(1, "b", 24), (2, "b", 29), (3, "b", 17), (6, "c", 17), (7, "b", 29)]
)
def test_a_bias_is_shifted_to_the_left_within_64_bits(model, index, name, product_f):
    zeros = np.zeros_like(getattr(model.layers[index], name))
    for shift in (0, 62):
        q = Q(15, 15 - product_f + shift)
        check_model(changed(model, index, **{name: zeros, f"q_{name}": q}))
    for shift in (-1, 63):
        q = Q(15, 15 - product_f + shift)
        wrong = changed(model, index, **{name: zeros, f"q_{name}": q})
        assert_refused(wrong, f"q_{name} should have at most the {product_f} fraction bits")


def test_a_layer_has_one_bias_and_one_that_the_sum_scales_only_with_the_sum(model):
    assert_refused(changed(model, 6, b=numbers(6)), "c should come without b and with scale_inputs")
    assert_refused(changed(model, 6, scale_inputs=False), "c should come without b and with scale_inputs")


def dense(fan_in_of_axes, record):
    return QuantizedModel(fan_in_of_axes, [Quantize(record.q_in), record], record.q_out)


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

    check_model(model(largest))
    assert_refused(model(largest + 1), r"no sum should reach 2\*\*62; output 1 may reach")


def test_no_sum_with_its_bias_reaches_two_to_the_62():
    q = Q(1, 0)
    exact = Q(15, 15 + 48 - 1)  # a bias of this format is shifted by 48

    def model(scale, b):
        record = Affine(np.array([scale]), Q(15, 15), np.array([b]), exact, q, Q(15, 20))
        return QuantizedModel((1, 1, 1), [Quantize(q), record, Flatten()], record.q_out)

    assert model(0, 0).layers[1].product_f - exact.f == 48
    check_model(model(32767, 2**14 - 1))
    check_model(model(-32767, 1 - 2**14))
    assert_refused(model(0, 2**14), f"output 0 may reach {2**62}")
    assert_refused(model(0, -(2**14)), f"output 0 may reach {2**62}")


def test_no_sum_of_a_scaled_bias_reaches_two_to_the_62():
    few = signs(1, 4)
    q = Q(1, 0)

    def model(c):
        record = XNOR(
            few, np.array([1]), Q(15, 15), None, q, True, None, q, Q(15, 20), np.array([c]), Q(15, 61)
        )
        return dense((4, 1, 1), record)

    # (4 * alpha + c * 2**46) * 4 of the magnitudes
    check_model(model(2**14 - 1))
    assert_refused(model(2**14), f"output 0 may reach {2**62 + 16}")


def test_sums_in_the_simulations_floats_are_exact():
    def model(fan_in):
        few = Signs(np.zeros((1, fan_in // 8), np.uint8), fan_in)
        record = XNOR(few, np.array([1]), Q(15, 0), None, data, False, None, image, Q(15, 9))
        return dense((fan_in // 1024, 32, 32), record)

    check_model(model(2**23 - 1024))
    assert_refused(model(2**23), "a sum over fewer than 8388608 inputs; found 8388608")


def with_window(model, index, **fields):
    return changed(model, index, window=replace(model.layers[index].window, **fields))


@pytest.mark.parametrize("index", [1, 4])
@pytest.mark.parametrize("value", [0, -1, 1.0, True, 1 << 25])
def test_sizes_and_strides_are_counts(model, index, value):
    for field in ("size", "stride"):
        assert_refused(with_window(model, index, **{field: (1, value)}), "sizes and strides should be 1 to")


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
    assert_refused(with_window(model, index, **fields), "a window should have two sizes, two strides, and")


def test_pooling_has_a_window(model):
    assert_refused(changed(model, 4, window=None), "a window should move over")


@pytest.mark.parametrize("pad", [((2, 0), (0, 1)), ((0, 0), (0, 3))])
def test_no_pooling_window_holds_nothing_but_padding(model, pad):
    assert_refused(with_window(model, 4, pad=pad), r"padding should be smaller than the window, \(2, 3\)")


def test_only_pooling_that_ignores_the_border_has_padding(model):
    assert_refused(changed(model, 4, ignore_border=False), "only pooling that ignores the border should have")


@pytest.mark.parametrize("index, axis", [(1, 0), (1, 1), (4, 0), (4, 1)])
def test_a_window_fits_its_input(model, index, axis):
    size = list(model.layers[index].window.size)
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
    model = QuantizedModel((64, 1, 1), [Quantize(image), conv, Flatten()], data)
    assert_refused(model, "at most 134217728 numbers for an image")


def test_a_pooling_window_asks_for_bounded_memory():
    pool = MaxPool(Window((1 << 14, 1 << 14), (1, 1), NO_PAD), False)
    model = QuantizedModel((1, 4, 4), [Quantize(image), pool, Flatten()], image)
    assert_refused(model, "at most 134217728 numbers for an image")


def test_layers_together_ask_for_bounded_memory():
    layers = [Quantize(image), *[Rectify()] * 8, Flatten()]
    assert_refused(QuantizedModel((1, 1 << 12, 1 << 12), layers, image), r"^layer 7 \(Rectify\): .* at most")
