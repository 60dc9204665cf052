"""Exported C gives what the definitions give, layer by layer, for drawn graphs of every operation."""

import subprocess

import pytest
from c_programs import HOST, SANITIZED, compile_tests, compiler, exported, run
from extent import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from random_graphs import draw_quantized

# As many networks are compiled at a time, since starting a compiler takes longest. So they are drawn first,
# and one that fails is printed as it was drawn.
TOGETHER = 10

MODELS = draw_quantized() | draw_quantized(channels=st.sampled_from([1, 3, 31, 32, 33, 64]))


@pytest.mark.parametrize("flags", [("gcc", "-O0"), ("gcc", "-O3"), ("clang", "-O3")], ids=" ".join)
def test_drawn_graphs(flags, tmp_path):
    program, models = compiler(flags[0]), []

    @settings(max_examples=examples(30))
    @given(MODELS)
    def draw(model):
        models.append(model[0])

    draw()
    for first in range(0, len(models), TOGETHER):
        folder = tmp_path / str(first)
        drawn = {f"net{i}": graph for i, graph in enumerate(models[first : first + TOGETHER])}
        names = [exported(graph, name, folder).name for name, graph in drawn.items()]
        run(program, *HOST, *SANITIZED, flags[1], *compile_tests(folder, names), "-o", folder / "test")
        printed = subprocess.run([folder / "test"], capture_output=True, text=True)
        differ = [name for name in names if f"{name} ok" not in printed.stdout.splitlines()]
        assert not differ, (printed.stdout, printed.stderr, drawn[differ[0]])
