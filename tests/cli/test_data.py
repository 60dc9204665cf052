"""The command that downloads and checks datasets."""

import pytest

from xnornet.catalog import ON_DISK
from xnornet.cli import main


def test_data_path_prints_where_files_belong(tmp_path, capsys):
    assert main(["data", "path", "svhn", "mnist", "--data", str(tmp_path)]) == 0
    folders = [str(tmp_path / "SVHN" / "format2"), str(tmp_path / "mnist")]
    assert capsys.readouterr().out.splitlines() == folders


def test_check_of_missing_files_fails_and_says_what_gets_them(tmp_path, capsys):
    assert main(["data", "check", "--data", str(tmp_path)]) == 1
    printed = capsys.readouterr().out
    assert printed.count("missing") >= 4 + 7 + 3
    for name in ON_DISK:
        assert f"`python -m xnornet data download {name}`" in printed


def test_check_of_a_damaged_file_is_reported(tmp_path, capsys):
    folder = tmp_path / "cifar10" / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    for name in (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch", "batches.meta"):
        (folder / name).write_bytes(b"\x80\x02}q\x00.")
    assert main(["data", "check", "cifar10", "--data", str(tmp_path)]) == 1
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("it cannot be loaded: ") and "data_batch_1" in last


@pytest.mark.parametrize("argv", [["check", "digits"], ["download", "imagenet"]])
def test_a_dataset_without_files_is_one_line(argv, capsys):
    assert main(["data", *argv]) == 1
    errors = capsys.readouterr().err
    assert errors.startswith("error: ") and errors.count("\n") == 1 and "mnist, cifar10, svhn" in errors


def test_an_unknown_action_is_a_usage_error(capsys):
    with pytest.raises(SystemExit) as exit:
        main(["data", "delete", "mnist"])
    assert exit.value.code == 2


def test_check_of_own_images_prints_what_there_is(tmp_path, capsys):
    from PIL import Image

    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        for i in range(3):
            Image.new("L", (5, 4), 40 * i + len(name) + (name == "dog")).save(tmp_path / name / f"{i}.png")
    assert main(["data", "check", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert "6 4x5 grey" in printed and printed.endswith("nothing is wrong\n")
    (tmp_path / "cat" / "0.png").write_bytes(b"GIF89a")
    assert main(["data", "check", str(tmp_path)]) == 1
    assert "1 cannot be read" in capsys.readouterr().out
