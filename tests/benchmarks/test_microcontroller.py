"""Instructions of exported C: counted for each layer, and no more than the guide says."""

import json
from pathlib import Path

from c_programs import compiler

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = ROOT / "benchmarks/microcontroller.py"


def test_binary_layers_take_less_than_a_third_of_an_instruction_for_each_multiply_add(run):
    for needed in ("arm-none-eabi-gcc", "qemu-system-arm"):
        compiler(needed)
    printed = run(
        str(ROOT / "models/mnist_convnet.npz"), "--json", "--processor", "Cortex-M3", "Cortex-M4"
    ).out
    for name, most in (("Cortex-M3", 0.55), ("Cortex-M4", 0.45)):
        rows = {row["layer"]: row for row in json.loads(printed)[f"mnist_convnet, {name}"]}
        assert list(rows)[:3] == ["quantize_0", "conv_3", "xnor_conv_6"]
        for layer in ("xnor_conv_6", "xnor_dense_7"):
            assert 0.2 < rows[layer]["instructions"] / rows[layer]["binary"] < 1 / 3
        whole = sum(row["instructions"] for row in rows.values())
        assert whole <= most * sum(row["binary"] + row["real"] for row in rows.values())
