"""Exported C gives what the definitions give, layer by layer, for drawn graphs of every operation."""

import pytest
from c_programs import HOST, SANITIZED, compile_tests, compiler, exported, run
from extent import examples
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from random_graphs import draw_quantized

# As many networks are compiled at a time, since starting a compiler takes longest.
TOGETHER = 10

MODELS = draw_quantized() | draw_quantized(channels=st.sampled_from([1, 3, 31, 32, 33, 64]))


@pytest.mark.parametrize("flags", [("gcc", "-O0"), ("gcc", "-O3"), ("clang", "-O3")], ids=" ".join)
def test_drawn_graphs(flags, tmp_path_factory):
    name, level = flags
    program = compiler(name)

    # Making what fails smaller would run the compiler thousands of times.
    @settings(max_examples=examples(15), phases=[Phase.explicit, Phase.reuse, Phase.generate])
    @given(st.lists(MODELS, min_size=TOGETHER, max_size=TOGETHER))
    def check(models):
        folder = tmp_path_factory.mktemp("drawn")
        names = [exported(graph, f"net{i}", folder).name for i, (graph, _) in enumerate(models)]
        run(program, *HOST, *SANITIZED, level, *compile_tests(folder, names), "-o", folder / "test")
        printed = run(folder / "test").decode().splitlines()
        assert printed == [f"{n} ok" for n in names]

    check()
