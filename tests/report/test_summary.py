"""Counts of parameters, bytes and multiply-adds against closed forms, and the table for people."""

import itertools
import json
import re
from pathlib import Path

import lasagne
import numpy as np
import pytest
from extent import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from lasagne.layers import DenseLayer, FlattenLayer, InputLayer, NonlinearityLayer, Pool2DLayer
from random_networks import draw_network

from xnornet import networks as shipped
from xnornet.export.c import export_c
from xnornet.graph import load_packed, save_packed
from xnornet.layers import BatchNormLayer, XNORConv2DLayer, XNORDenseLayer
from xnornet.quantization import quantize, to_graph
from xnornet.report import format_summary, summarize, total

MODELS = Path(__file__).resolve().parents[2] / "models"


def counts(layer, *names):
    sums = total(summarize(layer))
    return [sums[name] for name in names]


def test_mnist_mlp_is_as_counted_by_hand():
    n = 4096
    signs = 784 * n + 2 * n * n
    real = 3 * n + 2 * 4 * n + (10 * n + 10) + 4 * 10
    assert counts(shipped.mnist_mlp(), "binary_params", "real_params", "float_bytes") == [
        signs,
        real,
        4 * (signs + real),
    ]
    words = 3 * 2 * n + 2 * 2 * n + (10 * n + 10) + 2 * 10
    scalings, normalized = 3 * 2 * n, 2 * n + 10
    assert counts(shipped.mnist_mlp(scale_inputs=True), "packed_bytes", "binary_macs", "real_macs") == [
        signs // 8 + 2 * words,
        signs,
        scalings + 10 * n + normalized,
    ]


# Inputs, filters, outputs' side, and the batch norm's side behind it, of the six convolutions.
CIFAR = [
    (3, 128, 32, 32),
    (128, 128, 32, 16),
    (128, 256, 16, 16),
    (256, 256, 16, 8),
    (256, 512, 8, 8),
    (512, 512, 8, 4),
]


def test_cifar10_convnet_is_as_counted_by_hand():
    first, *binary = CIFAR
    channels = [filters for _, filters, _, _ in CIFAR] + [1024, 1024, 10]
    signs = sum(9 * inputs * filters for inputs, filters, _, _ in binary) + 512 * 16 * 1024 + 1024 * 1024
    real_weights = 9 * 3 * 128 + 1024 * 10
    real = real_weights + 5 * sum(channels)
    words = real_weights + sum(channels) + sum(channels[1:-1]) + 2 * sum(channels)
    network = shipped.cifar10_convnet(scale_inputs=True)
    assert counts(network, "binary_params", "real_params") == [signs, real]
    assert counts(network, "float_bytes", "packed_bytes") == [4 * (signs + real), signs // 8 + 2 * words]

    binary_macs = sum(9 * inputs * filters * side**2 for inputs, filters, side, _ in binary)
    binary_macs += 512 * 16 * 1024 + 1024 * 1024
    scalings = 2 * (sum(filters * side**2 for _, filters, side, _ in binary) + 1024 + 1024)
    normalized = sum(filters * after**2 for _, filters, _, after in CIFAR) + 1024 + 1024 + 10
    real_macs = 9 * 3 * 128 * 32**2 + 1024 * 10 + scalings + normalized
    assert counts(network, "binary_macs", "real_macs") == [binary_macs, real_macs]


def test_rows_are_named_and_shaped_in_the_order_of_the_chain():
    rows = summarize(shipped.cifar10_convnet(width=0.25, dropout=0.5))
    assert [(row.name, row.output_shape) for row in rows[:6]] == [
        ("conv 3x3", (32, 32, 32)),
        ("affine", (32, 32, 32)),
        ("XNOR conv 3x3", (32, 32, 32)),
        ("max pool 2x2", (32, 16, 16)),
        ("affine", (32, 16, 16)),
        ("XNOR conv 3x3", (64, 16, 16)),
    ]
    assert [(row.name, row.output_shape) for row in rows[-6:]] == [
        ("XNOR dense", (256,)),
        ("affine", (256,)),
        ("XNOR dense", (256,)),
        ("affine", (256,)),
        ("dense", (10,)),
        ("affine", (10,)),
    ]


@settings(deadline=None)
@given(
    st.integers(1, 17), st.integers(1, 5), st.tuples(*[st.integers(1, 3)] * 4), st.booleans(), st.booleans()
)
def test_a_binary_convolution_is_counted_tap_by_tap(channels, filters, window, scaled, biased):
    kh, kw, stride, pad = window
    b = lasagne.init.Constant(0) if biased else None
    layer = XNORConv2DLayer(
        InputLayer((None, channels, 6, 5)),
        filters,
        (kh, kw),
        stride,
        pad,
        b=b,
        scale_inputs=scaled,
    )
    (row,) = summarize(layer)
    positions = len(range(0, 6 + 2 * pad - kh + 1, stride)) * len(range(0, 5 + 2 * pad - kw + 1, stride))
    signs = filters * channels * kh * kw
    assert row.name == f"XNOR conv {kh}x{kw}"
    assert (row.binary_params, row.real_params) == (signs, filters if biased else 0)
    assert row.binary_macs == positions * signs
    assert row.real_macs == positions * filters * (2 if scaled else 1)
    taps = len(list(itertools.product(range(filters), range(kh), range(kw))))
    bytes_of_a_tap = len(range(0, channels, 8))
    assert row.packed_bytes == taps * bytes_of_a_tap + 2 * filters + (2 * filters if biased else 0)


def test_signs_are_rounded_up_to_bytes_for_each_output():
    layer = XNORDenseLayer(InputLayer((None, 9)), 3, b=None, scale_inputs=False)
    layer = XNORDenseLayer(layer, 2, b=None, scale_inputs=False)
    assert [row.packed_bytes for row in summarize(layer)] == [3 * 2 + 2 * 3, 2 * 1 + 2 * 2]


def bytes_of_arrays(path):
    with np.load(path) as file:
        return sum(file[name].nbytes for name in file.files if name != "header.json")


def assert_counted_as_packed(network, path):
    """The sum of a network's packed bytes is what its packed file holds in arrays."""
    graph = to_graph(network)
    model = quantize(graph, None, magnitudes=[1.0] * len(graph.nodes))
    save_packed(path, model, {})
    assert counts(network, "packed_bytes") == counts(model, "packed_bytes") == [bytes_of_arrays(path)]


@pytest.mark.parametrize("scale_inputs", [True, False])
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("digits_mlp", {}),
        ("digits_mlp", {"num_units": 37}),
        ("mnist_mlp", {"num_units": 20}),
        ("mnist_convnet", {"num_filters": (3, 9), "num_units": 21}),
        ("cifar10_convnet", {"width": 1 / 16}),
        ("svhn_convnet", {"width": 1 / 16}),
        ("svhn_convnet", {"width": 0.05}),
    ],
)
def test_packed_bytes_of_what_ships_are_those_of_the_file(tmp_path, name, options, scale_inputs):
    network = shipped.build(name, scale_inputs=scale_inputs, **options)
    assert_counted_as_packed(network, tmp_path / "m.npz")


@settings(max_examples=examples(30))
@given(network=draw_network())
def test_packed_bytes_are_those_of_the_file(tmp_path_factory, network):
    assert_counted_as_packed(network[0], tmp_path_factory.getbasetemp() / "summary.npz")


def test_layers_without_parameters_cost_nothing():
    layer = Pool2DLayer(InputLayer((None, 2, 4, 4)), (2, 1))
    layer = FlattenLayer(NonlinearityLayer(layer))
    rows = summarize(layer)
    assert [row.name for row in rows] == ["max pool 2x1", "rectify", "flatten"]
    sums = total(rows)
    assert sums["float_to_packed"] is None and sums["binary_share"] is None
    # 32 numbers of 2 bytes, and 16 of them behind the pooling.
    assert sums.pop("ram_bytes") == 96
    assert {v for k, v in sums.items() if isinstance(v, int)} == {0}
    assert format_summary(rows, "nothing").startswith("nothing\n")


def test_an_average_costs_a_multiplication_and_its_factor():
    layer = InputLayer((None, 2, 5, 4))
    (row,) = summarize(Pool2DLayer(layer, 2, mode="average_inc_pad"))
    assert (row.name, row.packed_bytes, row.real_macs) == ("average pool 2x2", 2, 2 * 2 * 2)
    sums = total(summarize(lasagne.layers.GlobalPoolLayer(layer)))
    assert (sums["packed_bytes"], sums["real_macs"], sums["real_params"]) == (2, 2, 0)


def test_a_graph_has_a_row_for_each_operation():
    network = shipped.digits_mlp(num_units=5)
    graph = to_graph(network)
    rows, of_layers = summarize(graph), summarize(network)
    assert [row.name for row in rows] == [row.name for row in of_layers]
    for name in ("binary_macs", "real_macs", "packed_bytes", "binary_params"):
        assert total(rows)[name] == total(of_layers)[name]


def test_a_batch_norm_without_parameters_of_its_own_is_merged_all_the_same():
    (row,) = summarize(BatchNormLayer(InputLayer((None, 7)), beta=None, gamma=None))
    assert (row.real_params, row.float_bytes, row.packed_bytes, row.real_macs) == (14, 56, 28, 7)


@pytest.mark.parametrize("name", shipped.NETWORKS)
def test_parameters_are_those_that_training_saves(name):
    network = shipped.build(name)
    (found,) = counts(network, "float_bytes")
    assert found == 4 * sum(v.size for v in lasagne.layers.get_all_param_values(network))


@pytest.mark.parametrize("name", shipped.NETWORKS)
def test_the_table_fits_100_columns_and_holds_every_count(name):
    rows = summarize(shipped.build(name))
    sums = total(rows)
    text = format_summary(rows, f"{name} on images")
    title, _, heads, rule, *body, second_rule, last, closing = text.split("\n")
    assert max(map(len, text.split("\n"))) <= 100
    assert title == f"{name} on images"
    assert set(rule) == set(second_rule) == {"-"}
    assert heads.split()[0] == "layer"
    # Columns line up: every row is as long as the rule, and numbers end where their heads end.
    assert {len(line) for line in (heads, *body, last)} == {len(rule)}
    for line, counted in zip((*body, last), (*sums["layers"], sums), strict=True):
        numbers = [counted[n] for n in ("binary_params", "real_params", "binary_macs", "real_macs")]
        for number in numbers:
            assert (f" {number:,} " if number else " - ") in f"{line} "
    assert re.fullmatch(r"float / packed memory: [\d.]+; binary multiply-adds: [\d.]+% of all", closing)


@pytest.mark.parametrize(
    ("units", "text"),
    [
        (1, "4 B"),
        (249, "996 B"),
        (250, "1.0 kB"),
        (3125, "12.5 kB"),
        (24_987, "99.9 kB"),
        (24_988, "100 kB"),
        (10**6 // 4, "1.00 MB"),
    ],
)
def test_bytes_are_reported_in_thousands(units, text):
    network = DenseLayer(InputLayer((None, 1)), units, b=None)
    assert f" {text} " in format_summary(summarize(network), "title")


@pytest.mark.parametrize("name", ["digits_mlp", "mnist_convnet", "cifar10_convnet"])
def test_ram_is_the_arena_of_exported_c(name):
    exported = export_c(load_packed(MODELS / f"{name}.npz")[0], name, np.zeros(256, np.int16))
    rows = summarize(shipped.build(name))
    assert total(rows)["ram_bytes"] == max(row.ram_bytes for row in rows)
    # What is laid out for several layers may leave gaps.
    assert total(rows)["ram_bytes"] <= exported.arena <= 1.15 * total(rows)["ram_bytes"]
    # Signs of the map before, and of the map behind; windows of the first beside numbers.
    if name == "mnist_convnet":
        taken = {row.name: row.ram_bytes for row in rows}
        assert taken["XNOR dense"] == 7 * 7 * 96 // 8 + 2 * 1024
        assert taken["conv 5x5"] == 2 * 28 * 28 + 14 * 14 * 32 // 8 + 4 * 13
        assert taken["max pool 2x2"] == 0


def test_json_takes_the_totals_as_they_are():
    sums = total(summarize(shipped.digits_mlp()))
    read = json.loads(json.dumps(sums))
    assert read["binary_params"] == 2 * 256 * 256
    assert read["float_to_packed"] == sums["float_bytes"] / sums["packed_bytes"]
    assert len(read["layers"]) == 8
    assert read["layers"][0]["name"] == "dense"
    assert read["layers"][0]["output_shape"] == [256]
    assert sum(row["packed_bytes"] for row in read["layers"]) == sums["packed_bytes"]


class Unknown(lasagne.layers.Layer):
    """A layer of somebody's own."""


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (lambda: Unknown(InputLayer((None, 3))), "Unknown: it has no exact form; use one of"),
        (
            lambda: BatchNormLayer(InputLayer((None, 2, None, 4))),
            r"output has shape \(None, 2, None, 4\); use an InputLayer",
        ),
        (
            lambda: lasagne.layers.ConcatLayer([InputLayer((None, 2)), InputLayer((None, 2))]),
            "should begin at one InputLayer; this one begins at InputLayer, InputLayer",
        ),
    ],
)
def test_what_cannot_be_summarized_is_reported_in_one_line(network, message):
    with pytest.raises(ValueError, match=message) as error:
        summarize(network())
    assert "\n" not in str(error.value)


def test_summarizing_changes_no_parameter():
    network = shipped.digits_mlp(num_units=4)
    before = lasagne.layers.get_all_param_values(network)
    summarize(network)
    for old, new in zip(before, lasagne.layers.get_all_param_values(network), strict=True):
        np.testing.assert_array_equal(old, new)
