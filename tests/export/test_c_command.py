"""`xnornet export --to c`: a folder that compiles and says ok, or one line and nothing written."""

import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from c_programs import HOST, SANITIZED, compiler, run, scores_in_c
from printed import error_line

from xnornet import data
from xnornet.cli import main
from xnornet.engine import load
from xnornet.errors import ModelError
from xnornet.export.c import export_c, identifier, pixel_levels
from xnornet.fixedpoint import Q
from xnornet.graph import Graph, Operation, Quantize, load_packed

MODELS = Path(__file__).resolve().parents[2] / "models"
DIGITS = MODELS / "digits_mlp.npz"


def export(model, out, *options):
    try:
        return main(["export", "--to", "c", "--model", str(model), "--out", str(out), *map(str, options)])
    except SystemExit as exit:
        return exit.code


def test_the_folder_compiles_by_its_makefile_and_says_ok(tmp_path, capsys):
    assert export(DIGITS, tmp_path / "digits") == 0
    assert re.search(r"digits_mlp, flash [\d.]+ KiB .*RAM [\d.]+ KiB", capsys.readouterr().out)
    compiler("make")
    flags = " ".join([*HOST, *SANITIZED])
    printed = run(
        "make", "--no-print-directory", f"CC={compiler('gcc')}", f"CFLAGS={flags}", cwd=tmp_path / "digits"
    ).decode()
    assert printed.splitlines()[-1] == "digits_mlp ok"


@pytest.mark.parametrize("array, layer", [("W", "dense_2"), ("B", "xnor_dense_4"), ("b", "affine_8")])
def test_a_damaged_constant_is_reported_with_its_layer(array, layer, tmp_path):
    export(DIGITS, tmp_path / "digits")
    source = tmp_path / "digits/digits_mlp.c"
    first = rf"(digits_mlp_{layer}_{array}\[\d+\] = {{\n)[^\n]*\n"
    text, found = re.subn(first, r"\1", source.read_text())
    assert found == 1
    source.write_text(text)
    run(compiler("gcc"), "-w", "test.c", "xnor.c", "-o", "test", cwd=tmp_path / "digits")
    done = subprocess.run(["./test"], cwd=tmp_path / "digits", capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stdout.splitlines() == ["digits_mlp differs first in layer", layer, "image 000"]


def test_sizes_are_those_of_the_folder(tmp_path, capsys):
    assert export(DIGITS, tmp_path / "digits", "--json") == 0
    sizes = json.loads(capsys.readouterr().out)
    header = (tmp_path / "digits/digits_mlp.h").read_text()
    for name in ("arena", "stack", "constants"):
        assert f"#define DIGITS_MLP_{name.upper()} {sizes[name]}\n" in header
    run(compiler("gcc"), "-O2", "-c", "digits_mlp.c", "-o", "net.o", cwd=tmp_path / "digits")
    run(compiler("objcopy"), "-O", "binary", "-j", ".rodata", "net.o", "constants", cwd=tmp_path / "digits")
    found = (tmp_path / "digits/constants").stat().st_size
    assert sizes["constants"] <= found <= sizes["constants"] + 2048


def test_constants_take_no_more_than_the_packed_arrays():
    for path in sorted(MODELS.glob("*.npz")):
        graph, _ = load_packed(path)
        made = export_c(graph, path.stem, np.arange(-128, 128, dtype=np.int16))
        with np.load(path) as arrays:
            packed = sum(a.nbytes for name, a in arrays.items() if name != "header.json")
        assert made.constants - 512 <= 1.03 * packed


def test_a_network_that_does_not_fit_is_refused_with_its_largest_layers(tmp_path, capsys):
    assert export(DIGITS, tmp_path / "digits", "--flash", "32K") == 1
    line = error_line(capsys)
    assert re.search(r"takes \d+ bytes of flash, and there are 32768; most of it: dense_2 \d+, ", line)
    assert export(DIGITS, tmp_path / "digits", "--ram", 1000) == 1
    assert "bytes of RAM, and there are 1000" in error_line(capsys)
    assert not (tmp_path / "digits").exists()
    assert export(DIGITS, tmp_path / "digits", "--flash", "256K", "--ram", "64KiB") == 0


def test_a_folder_is_replaced_only_if_asked_and_an_export(tmp_path, capsys):
    assert export(DIGITS, tmp_path / "digits") == 0
    capsys.readouterr()
    assert export(DIGITS, tmp_path / "digits") == 1
    assert "is there already; choose another one, or give --force" in error_line(capsys)
    (tmp_path / "digits/xnor.c").write_text("")
    assert export(DIGITS, tmp_path / "digits", "--force") == 0
    assert (tmp_path / "digits/xnor.c").stat().st_size
    mine = tmp_path / "mine"
    mine.mkdir()
    capsys.readouterr()
    assert export(DIGITS, mine, "--force") == 1
    assert "is no export" in error_line(capsys)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["digits", "mine"]


def test_names_that_c_does_not_allow_are_changed_and_reported(tmp_path, capsys):
    copied = tmp_path / "3 digits-net.npz"
    shutil.copy(DIGITS, copied)
    assert export(copied, tmp_path / "out") == 0
    assert (
        "3 digits-net is no name in C; the functions and files are called n_3_digits_net"
        in capsys.readouterr().out
    )
    assert (tmp_path / "out/n_3_digits_net.c").exists()
    assert [identifier(n) for n in ("int", "", "naïve", "a.b")] == ["n_int", "network", "na_ve", "a_b"]


def test_what_is_no_packed_model_is_refused(tmp_path, capsys):
    (tmp_path / "no.npz").write_text("no")
    assert export(tmp_path / "no.npz", tmp_path / "out") == 1
    assert "no.npz" in error_line(capsys)


def test_an_operation_without_a_form_in_c_is_refused():
    @dataclass(frozen=True)
    class Odd(Operation):
        def exact(self, xp, n):
            return n

    graph = Graph.chain((2, 2, 2), [Quantize(Q(7, 0)), Odd()])
    with pytest.raises(ModelError, match=r"node 1 \(\): has no form in C"):
        export_c(graph, "odd", np.zeros(256, np.int16))


def test_levels_are_what_the_quantizer_makes_of_pixels():
    graph, _ = load_packed(DIGITS)
    levels = pixel_levels(graph, np.linspace(-1, 1, 17, dtype=np.float32))
    assert levels[:17].tolist() == [-127, *range(-112, 113, 16), 127]
    assert len(levels) == 256 and set(levels[17:]) == {127}


def test_scores_of_the_data_sets_own_pixels_are_the_engines(tmp_path):
    assert export(DIGITS, tmp_path / "digits") == 0
    images = data.load("digits").test.images[:50]
    pixels = np.argmin(abs(images[..., None] - data.levels("digits")), axis=-1).astype(np.uint8)
    found = scores_in_c(tmp_path / "digits", "digits_mlp", pixels)
    np.testing.assert_array_equal(found, load(DIGITS, threads=1).run(images))
