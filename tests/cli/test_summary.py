"""The command that counts what a network costs."""

import json

import pytest

from xnornet import networks
from xnornet.cli import main


@pytest.mark.parametrize("network", networks.NETWORKS)
def test_it_prints_a_table_of_every_network(network, capsys):
    assert main(["summary", network]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == network and max(map(len, lines)) <= 100
    assert any(line.startswith("total") for line in lines)


def test_json_holds_the_sums_for_the_options_given(capsys):
    assert main(["summary", "digits_mlp", "--set", "num_units=32", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["binary_params"] == found["binary_macs"] == 2 * 32 * 32


@pytest.mark.parametrize("setting", ["width=0", "width=-1", "width='wide'", "num_units=3"])
def test_a_wrong_option_is_one_line(setting, capsys):
    assert main(["summary", "cifar10_convnet", "--set", setting]) == 1
    errors = capsys.readouterr().err
    assert errors.startswith("error: ") and errors.count("\n") == 1
