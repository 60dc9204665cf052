"""Who imports whom: down the list of packages only."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1] / "xnornet"

# From the top down; a package imports what is below it.
PACKAGES = [
    *["__main__", "cli", "training", "report", "export", "engine", "quantization", "networks"],
    *["graph", "data", "layers", "ops", "fixedpoint"],
]

# What everyone may import: these import none of the packages.
TOOLS = {
    *["archives", "catalog", "devices", "disk", "errors", "hints", "hosts", "machine_code", "memory"],
    *["threads", "vectors", "versions", "xla_programs"],
}


def imports_of(path):
    """Packages that a file imports, when it is loaded or later."""
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


def package_of(path):
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


FILES = sorted(path for path in ROOT.rglob("*.py") if path.parent != ROOT or path.stem != "__init__")


def test_the_map_for_contributors_has_the_same_packages():
    page = (ROOT.parent / "docs/contributing/design.md").read_text(encoding="utf-8")
    packages, tools = re.findall(r"```text\n(.*?)```", page, re.DOTALL)
    scripts, *packages = [line.split()[0] for line in packages.splitlines()]
    assert scripts == "train/" and packages == [package for package in PACKAGES if package != "__main__"]
    assert set(tools.split()) == TOOLS


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_down_the_list(path):
    own = package_of(path)
    found = {name for name in imports_of(path) if (ROOT / name).is_dir() or (ROOT / f"{name}.py").exists()}
    if own in TOOLS:
        assert found <= TOOLS
    else:
        below = PACKAGES[PACKAGES.index(own) :]
        assert found - TOOLS <= set(below)
