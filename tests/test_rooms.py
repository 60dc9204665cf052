"""Who imports whom: down the list of rooms only."""

import ast
import re
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "xnornet"

# From the top down; a room imports what is below it.
ROOMS = [
    *["__main__", "cli", "training", "report", "export", "engine", "quantization", "networks"],
    *["graph", "data", "layers", "ops", "fixedpoint"],
]

# What everyone may import: these import none of the rooms.
TOOLS = {
    *["archives", "catalog", "devices", "disk", "errors", "hints", "hosts", "machine_code", "memory"],
    *["threads", "vectors", "versions", "xla_programs"],
}


def imports_of(path):
    """Rooms that a file imports, when it is loaded or later."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module]
            if node.module == "xnornet":
                names = [f"xnornet.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            package, _, rest = name.partition(".")
            if package == "xnornet" and rest:
                yield rest.partition(".")[0]


def room_of(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


FILES = sorted(path for path in PACKAGE.rglob("*.py") if path.parent != PACKAGE or path.stem != "__init__")


def test_the_map_for_contributors_has_the_same_rooms():
    page = (PACKAGE.parent / "docs/contributing/design.md").read_text(encoding="utf-8")
    rooms, tools = re.findall(r"```text\n(.*?)```", page, re.DOTALL)
    scripts, *rooms = [line.split()[0] for line in rooms.splitlines()]
    assert scripts == "train/" and rooms == [room for room in ROOMS if room != "__main__"]
    assert set(tools.split()) == TOOLS


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_down_the_list(path):
    own = room_of(path)
    found = {
        name for name in imports_of(path) if (PACKAGE / name).is_dir() or (PACKAGE / f"{name}.py").exists()
    }
    if own in TOOLS:
        assert found <= TOOLS
    else:
        below = ROOMS[ROOMS.index(own) :]
        assert found - TOOLS <= set(below)
