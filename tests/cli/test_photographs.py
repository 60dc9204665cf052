"""Training and testing on color images: how they are prepared, and whose weights they are."""

import csv
import json

import numpy as np
import pytest
from ancestor_files import ancestor_arrays
from small_networks import residual_net

from xnornet import data, networks
from xnornet.cli import main
from xnornet.data import Whitening

NET = ["--set", "width=0.03", "--batch-size", "40", "--epochs", "2"]


def train(out, *options, dataset="cifar10"):
    return main(["train", *NET, "--out", str(out), *options], dataset=dataset)


def test_model(out, *options, dataset="cifar10"):
    return main(["test", "--model", str(out), *options], dataset=dataset)


test_model.__test__ = False


def error_line(capsys):
    errors = capsys.readouterr().err
    assert errors.startswith("error: ") and errors.count("\n") == 1, errors
    return errors


def test_whitening_is_kept_with_the_model_and_no_other_is_taken(
    photographs, shallow, cheap_whitening, tmp_path, capsys
):
    out = tmp_path / "net.npz"
    assert train(out, "--whiten", "--max-minutes", "1e-9") == 0
    assert train(out, "--whiten", "--resume") == 0
    recorded = json.loads(out.with_suffix(".json").read_text())["preprocessing"]
    assert recorded["full_scale"] == 127 / 128 and recorded["whitening"]
    last = capsys.readouterr().out.splitlines()[-1]
    assert test_model(out) == 0
    error = capsys.readouterr().out.split()[1]
    assert f"test error {error} " in last

    beside = tmp_path / "net.whitening.npz"
    own, header = beside.read_bytes(), out.with_suffix(".json")
    np.savez(beside, **Whitening(np.zeros(3072), np.eye(3072), 0.5).arrays)
    assert test_model(out) == 1
    assert "belongs to another model" in error_line(capsys)
    beside.write_bytes(own)
    header.rename(tmp_path / "elsewhere")
    assert test_model(out) == 1
    assert "no JSON header" in error_line(capsys)
    (tmp_path / "elsewhere").rename(header)
    beside.unlink()
    assert test_model(out) == 1
    assert "needs the net.whitening.npz" in error_line(capsys)

    assert train(tmp_path / "plain.npz", "--max-minutes", "1e-9") == 0
    capsys.readouterr()
    assert train(tmp_path / "plain.npz", "--whiten", "--resume") == 1
    assert "preprocessing=" in error_line(capsys)


def test_pixels_scaled_in_another_way_are_refused(photographs, shallow, tmp_path, capsys):
    out = tmp_path / "net.npz"
    assert train(out) == 0
    header = json.loads(out.with_suffix(".json").read_text())
    header["preprocessing"]["full_scale"] = 1.0
    out.with_suffix(".json").write_text(json.dumps(header))
    capsys.readouterr()
    assert test_model(out) == 1
    assert "scales white to 0.9921875" in error_line(capsys)


def test_a_model_is_tested_on_the_dataset_it_was_trained_on(
    photographs, shallow, tmp_path, capsys, monkeypatch
):
    out = tmp_path / "net.npz"
    assert train(out) == 0
    capsys.readouterr()
    monkeypatch.setitem(data._LOADERS, "svhn", lambda **options: data.Dataset("svhn", *SAME(photographs)))
    assert test_model(out, dataset="svhn") == 1
    assert "was trained on cifar10, not svhn" in error_line(capsys)


def SAME(dataset):
    return 10, dataset.train, dataset.valid, dataset.test


def test_a_report_shows_the_images_as_they_were(photographs, shallow, cheap_whitening, tmp_path, capsys):
    out, folder = tmp_path / "net.npz", tmp_path / "report"
    assert train(out, "--whiten", "--epochs", "1") == 0
    capsys.readouterr()
    assert test_model(out, "--no", "30", "--report", str(folder)) == 0
    last, sentence = capsys.readouterr().out.splitlines()
    names = {"confusion.png", "confusion.csv", "classes.csv", "mistakes.png"}
    assert {path.name for path in folder.iterdir()} == names
    assert last.startswith("report: ") and all(str(folder / name) in last for name in names)
    with open(folder / "classes.csv") as file:
        rows = list(csv.DictReader(file))
    assert [row["class"] for row in rows] == list(photographs.class_names)
    errors = sum(int(row["errors"]) for row in rows)
    assert sentence.startswith(f"error {errors / 30:.2%} ")


def test_a_report_that_cannot_be_written_is_reported_before_anything_is_computed(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert test_model(tmp_path / "none.npz", "--report", str(tmp_path / "file")) == 1
    assert "--report" in error_line(capsys)


@pytest.mark.parametrize("mode", ["float", "fixed", "packed"])
def test_a_file_of_the_ancestors_form_is_tested(photographs, tmp_path, capsys, mode):
    out = tmp_path / "xnor_net_cifar10.npz"
    np.savez(out, *ancestor_arrays())
    assert test_model(out, "--mode", mode) == 0
    first, last = capsys.readouterr().out.splitlines()
    assert first == f"{out}: read as cifar10_convnet in the form of theano-xnor-net"
    assert last.startswith("error ") and f"on 60 images, mode {mode}" in last


def test_a_file_of_the_ancestors_form_for_other_images_is_refused(photographs, tmp_path, capsys):
    out = tmp_path / "xnor_net_cifar10.npz"
    np.savez(out, *ancestor_arrays())
    assert test_model(out, dataset="digits") == 1
    assert "was trained on cifar10, not digits" in error_line(capsys)


def test_augmentation_is_the_default_and_can_be_left_out(photographs, shallow, tmp_path, capsys):
    assert train(tmp_path / "a.npz", "--max-minutes", "1e-9") == 0
    assert "augmented" in capsys.readouterr().out
    assert (
        train(tmp_path / "b.npz", "--no-augment", "--schedule", "exponential", "--max-minutes", "1e-9") == 0
    )
    printed = capsys.readouterr().out
    assert "augmented" not in printed and "(exponential)" in printed


def test_a_residual_network_trains_and_is_tested_in_every_mode(photographs, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(networks.NETWORKS, "cifar10_resnet18", residual_net)
    out = tmp_path / "net.npz"
    options = ["--net", "cifar10_resnet18", "--batch-size", "40", "--epochs", "1"]
    assert main(["train", *options, "--out", str(out)], dataset="cifar10") == 0
    last = capsys.readouterr().out.splitlines()[-1]
    header = json.loads(out.with_suffix(".json").read_text())
    assert header["network"] == "cifar10_resnet18"
    assert test_model(out) == 0
    assert f"test error {capsys.readouterr().out.split()[1]} " in last
    packed = tmp_path / "net.packed.npz"
    assert main(["pack", "--model", str(out), "--calibrate", "cifar10", "--out", str(packed)]) == 0
    capsys.readouterr()
    errors = []
    for path, mode in [(out, "fixed"), (packed, "fixed"), (packed, "packed")]:
        assert test_model(path, "--mode", mode) == 0
        errors.append(capsys.readouterr().out.split()[1])
    assert len(set(errors)) == 1
