"""The programs of README.md, docs/get_started.md and docs/tutorials/own_network.md run as they stand."""

import re
from pathlib import Path

import pytest

from xnornet import data
from xnornet.cli import main

ROOT = Path(__file__).resolve().parents[1]


def programs(page):
    return re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    (tmp_path / "models").symlink_to(ROOT / "models")
    monkeypatch.chdir(tmp_path)


def test_a_users_network_trains_and_becomes_integers(capsys):
    training, inference = programs("docs/tutorials/own_network.md")
    names = {}
    exec(compile(training, "own_network.md", "exec"), names)
    last = capsys.readouterr().out.splitlines()[-1]
    assert float(re.search(r"validation error (\d+\.\d)%", last)[1]) < 8

    exec(compile(inference, "own_network.md", "exec"), names)
    classes = names["integers"].argmax(axis=1)
    assert (classes != names["digits"].test.labels).mean() < 0.08


def test_the_first_programs_classify_digits(capsys):
    test = data.load("digits").test
    (program,) = programs("README.md")
    names = {"images": test.images}
    exec(compile(program, "README.md", "exec"), names)
    assert (names["classes"] != test.labels).mean() < 0.02

    (program,) = programs("docs/get_started.md")
    exec(compile(program, "get_started.md", "exec"), {})
    assert capsys.readouterr().out == "['0', '1', '2']\n"

    page = (ROOT / "docs/get_started.md").read_text(encoding="utf-8")
    save, classify, printed = re.search(
        r'python -c "\n(.*?)"\n\$ xnornet (.*?)\n(.*?)\n', page, re.DOTALL
    ).groups()
    exec(compile(save, "get_started.md", "exec"), {})
    assert main(classify.split()) == 0 and capsys.readouterr().out == printed + "\n"
