"""What tests of several programs in benchmarks/ share."""

import runpy
import sys

import pytest


@pytest.fixture
def run(request, monkeypatch, capsys):
    """Run the module's ``PROGRAM`` with options; gives what it printed."""
    program = str(request.module.PROGRAM)

    def run(*options):
        monkeypatch.setattr(sys, "argv", [program, *options])
        runpy.run_path(program, run_name="__main__")
        return capsys.readouterr()

    return run
