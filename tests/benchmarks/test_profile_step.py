"""The profile of a step: which operation is of which kind."""

import json
import runpy
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).resolve().parents[2] / "benchmarks" / "profile_step.py"

TEXT = """\
%fused.1 (p.1: f32[2,3]) -> f32[3,2] {
  %p.1 = f32[2,3]{1,0} parameter(0)
  ROOT %t.1 = f32[3,2]{1,0} transpose(%p.1), dimensions={1,0}
}

%fused.2 (p.2: f32[2,3]) -> f32[2] {
  %p.2 = f32[2,3]{1,0} parameter(0)
  %a.2 = f32[2,3]{1,0} abs(%p.2)
  ROOT %r.2 = f32[2]{0} reduce(%a.2, %c.2), dimensions={1}, to_apply=%add
}

ENTRY %main (x: f32[2,3]) -> f32[2,3] {
  %x = f32[2,3]{1,0} parameter(0)
  %fusion.1 = f32[3,2]{1,0} fusion(%x), kind=kLoop, calls=%fused.1
  %fusion.2 = f32[2]{0} fusion(%x), kind=kLoop, calls=%fused.2
  %call.3 = (s16[2]{0}, s32[1]{0}) custom-call(%x), custom_call_target="xnornet_correlate", api_version=4
  %dot.4 = f32[2,2]{1,0} dot(%x, %fusion.1), lhs_contracting_dims={1}
  ROOT %neg.5 = f32[2,3]{1,0} negate(%x)
}
"""


@pytest.fixture
def program():
    return runpy.run_path(str(PROGRAM))


def test_operations_are_what_they_are_made_of(program):
    found = program["kinds"](TEXT)
    assert {name: found[name] for name in ("fusion.1", "fusion.2", "call.3", "dot.4", "neg.5")} == {
        "fusion.1": "moving numbers",
        "fusion.2": "sums",
        "call.3": "kernel correlate",
        "dot.4": "float convolutions and products",
        "neg.5": "elementwise",
    }


def test_times_are_summed_up_and_shared_out_among_steps(program):
    event = {"ph": "X", "dur": 1500, "args": {"hlo_op": "dot.4"}}
    others = [{"ph": "M", "name": "thread"}, {"ph": "X", "dur": 7, "args": {"note": "no operation"}}]
    assert program["timed"]([event, event, *others], 2) == {"dot.4": 1.5}


def test_a_narrow_network_is_profiled(program, monkeypatch, capsys):
    options = ["cifar10_convnet", "--width", "0.05", "--batch", "4", "--steps", "2", "--json"]
    monkeypatch.setattr(sys, "argv", [str(PROGRAM), *options])
    runpy.run_path(str(PROGRAM), run_name="__main__")
    result = json.loads(capsys.readouterr().out)
    assert result["ms_per_step"] > 0 and result["kinds"]["elementwise"] > 0
