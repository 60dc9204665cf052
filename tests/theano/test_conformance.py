"""Small programs give what they gave in Theano 1.0.5, whose answers are in ``conformance.json``.

``benchmarks/conformance.py`` holds the programs, and asks Theano anew.
"""

import importlib.util
import json
from pathlib import Path

import extent
import pytest

import theano

SPEC = importlib.util.spec_from_file_location(
    "conformance", Path(__file__).resolve().parents[2] / "benchmarks" / "conformance.py"
)
conformance = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(conformance)
THEIRS = json.loads(Path(__file__).with_name("conformance.json").read_text(encoding="utf-8"))
# Where we differ on purpose, or as PyTensor does, by reason; docs/measurements/theano.md has them in words.
DIFFERENCES = json.loads(Path(__file__).with_name("differences.json").read_text(encoding="utf-8"))
# Newer PyTensors differ; in the gradient to a loop's sequence, they are right where Theano was not.
BY_VERSION = {*DIFFERENCES.pop("PyTensor's versions differ")}
DIFFERENT = {e for expressions in DIFFERENCES.values() for e in expressions}

pytestmark = pytest.mark.filterwarnings("ignore")


def check(ours):
    found = {e: conformance.difference(THEIRS[e], a) for e, a in ours.items() if e not in BY_VERSION}
    assert {e: d for e, d in found.items() if d and e not in DIFFERENT} == {}
    assert {e for e, d in found.items() if d is None and e in DIFFERENT} == set()


def test_expressions_give_the_same_values_types_and_errors():
    expressions = [e for e in dict.fromkeys(conformance.EXPRESSIONS) if e in THEIRS]
    assert len(expressions) > 1500 and {*expressions, *conformance.PROGRAMS} == {*THEIRS}
    expressions = expressions[:: extent.few_or_all(5, 1)]
    together = {e for e in expressions if isinstance(THEIRS[e], list) and e not in DIFFERENT}
    check(conformance.answers(expressions, together, mode="FAST_COMPILE"))


def test_programs_give_the_same_values_types_and_errors():
    with theano.config.change_flags(mode="FAST_COMPILE"):
        check(conformance.answers_of_programs(conformance.PROGRAMS))


def test_some_expressions_give_the_same_in_jax():
    chosen = [e for e in THEIRS if e.startswith(("T.sum(", "T.grad(T.nnet.s"))]
    check(conformance.answers(chosen, {e for e in chosen if isinstance(THEIRS[e], list)}, mode="JAX"))
