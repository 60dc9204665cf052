"""The figures of the documentation are those that docs/figures.py draws."""

import importlib.util
import re
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parents[1] / "docs"


@pytest.fixture
def figures(tmp_path, monkeypatch):
    spec = importlib.util.spec_from_file_location("figures", DOCS / "figures.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "FOLDER", tmp_path)
    return module


@pytest.mark.parametrize("name", [path.stem for path in sorted((DOCS / "figures").glob("*.svg"))])
def test_a_figure_says_what_its_program_draws(figures, name, tmp_path):
    getattr(figures, name)()
    # Coordinates depend on Matplotlib's version and fonts; words and numbers do not.
    old, new = (
        re.findall(r"<text[^>]*>(.*?)</text>", path.read_text(encoding="utf-8"), re.DOTALL)
        for path in (DOCS / "figures" / f"{name}.svg", tmp_path / f"{name}.svg")
    )
    assert old == new and old
