"""The page for contributors works as it stands."""

import re
from pathlib import Path

import pytest

from xnornet.graph import operation

PAGE = (Path(__file__).resolve().parents[1] / "docs/how_to/operations.md").read_text(encoding="utf-8")


@pytest.fixture(autouse=True)
def _kinds(monkeypatch):
    monkeypatch.setattr(operation, "KINDS", operation.KINDS)
    yield
    operation.KINDS.pop("absolute", None)


def test_an_operation_is_added_as_the_page_says(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {}
    for i, block in enumerate(re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)):
        exec(compile(block, f"docs/how_to/operations.md, block {i}", "exec"), names)
    assert names["graph"].operations[1].kind == "absolute"


def test_the_page_lists_every_operation():
    ours = [cls for cls in operation.KINDS.values() if cls.__module__.startswith("xnornet.graph")]
    for cls in ours:
        file = cls.__module__.rpartition(".")[2]
        row = next(line for line in PAGE.splitlines() if line.startswith(f"| `{file}.py`"))
        assert cls.kind in row.lower()
