"""`xnornet export --to html`: one page that gives the engine's scores, and draws what it takes and gives."""

import base64
import re
from pathlib import Path

import numpy as np
import pytest
from browsers import in_browser
from c_programs import compiler
from exported_models import real_pixels, shipped
from printed import error_line

from xnornet import data
from xnornet.cli import main
from xnornet.data.dataset import scale_bytes
from xnornet.engine import Engine
from xnornet.export.c import export_c, pixel_levels
from xnornet.export.c.golden import as_stored, expected_outputs, values_of
from xnornet.export.html import page
from xnornet.graph import Affine, Graph, Linear, Quantize, Window
from xnornet.quantization import quantize

ROOT = Path(__file__).resolve().parents[2]
DIGITS, CONVNET = (ROOT / "models" / f"{name}.npz" for name in ("digits_mlp", "mnist_convnet"))
SHIPPED_PAGE = ROOT / "docs/mnist_convnet.html"

RUN = """
const images = Uint8Array.from(atob("{pixels}"), c => c.charCodeAt(0)), size = images.length / {count};
const results = [];
for (let i = 0; i < {count}; i++) {{
  const {{ found, scores }} = run(images.slice(i * size, (i + 1) * size));
  results.push([found, ...scores.map(Number)]);
}}
const counts = network.layers.map(layer => Math.ceil(layer.rows * layer.columns * layer.channels / 32));
const signs = network.layers.map((layer, i) =>
  [...new Uint32Array(program.memory.buffer, program.signs() + 4 * layer.first, counts[i])]);
"""

DRAW = """
const frame = () => new Promise(resolve => setTimeout(resolve, 50));
const box = drawing.getBoundingClientRect();
const touch = { pointerId: 1, pointerType: "touch", isPrimary: true };
const point = (type, [x, y]) => drawing.dispatchEvent(new PointerEvent(type,
  { ...touch, clientX: box.left + x * box.width, clientY: box.top + y * box.height }));
async function stroke(points) {
  point("pointerdown", points[0]);
  points.forEach(p => point("pointermove", p));
  point("pointerup", points[points.length - 1]);
  await frame();
}
const look = canvas => {
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  return [...data].filter((_, i) => i % 4 === 0);
};
const state = () => ({ found: element("found").textContent, seen: look(element("seen")),
  maps: network.layers.map(layer => look(layer.maps)) });
"""


def export(model, out, *options):
    return main(["export", "--to", "html", "--model", str(model), "--out", str(out), *options])


def text_of_pixels(pixels):
    return base64.b64encode(as_stored(pixels).tobytes()).decode()


@pytest.fixture(scope="module")
def digits_page(tmp_path_factory):
    for program in ("clang", "wasm-ld"):
        compiler(program)
    out = tmp_path_factory.mktemp("digits") / "digits.html"
    assert export(DIGITS, out) == 0
    return out.read_text()


def signs_of(graph, pixels, numbers):
    """Words of signs of each layer that gives signs, for one image, by the definitions."""
    levels = pixel_levels(graph, numbers)
    layers = export_c(graph, "net", levels).layers
    outputs = expected_outputs(layers, values_of(graph, pixels, levels))
    return [each[0] for layer, each in zip(layers, outputs, strict=True) if layer.output.signs]


def check_scores(text, graph, pixels, numbers, folder):
    """Run images on a page; its classes, scores and signs are the engine's and the definitions'."""
    script = RUN.format(pixels=text_of_pixels(pixels), count=len(pixels)) + "return [results, signs];"
    results, signs = in_browser(text, script, folder)
    scores = Engine(graph, threads=1).run(numbers[pixels])
    np.testing.assert_array_equal(results, np.column_stack([scores.argmax(1), scores]))
    expected = signs_of(graph, pixels[-1:], numbers)
    assert len(expected) == len(signs) > 0
    for found, words in zip(signs, expected, strict=True):
        np.testing.assert_array_equal(np.array(found, np.uint32), words)


def test_digits_have_the_engines_classes_and_scores(digits_page, tmp_path):
    images = np.asarray(data.load("digits").test.images[:100])
    pixels = np.argmin(abs(images[..., None] - data.levels("digits")), axis=-1).astype(np.uint8)
    check_scores(digits_page, shipped("digits_mlp"), pixels, data.levels("digits"), tmp_path)


def test_the_page_of_the_guide_has_the_engines_classes_and_scores(tmp_path):
    graph, pixels = shipped("mnist_convnet"), real_pixels("mnist", 100)
    check_scores(SHIPPED_PAGE.read_text(), graph, pixels, data.levels("mnist"), tmp_path)


def test_strokes_are_scaled_and_centred_as_mnists_and_shown_as_drawn(tmp_path):
    script = """
      await frame();
      const states = [state()];
      await stroke([[0.1, 0.1], [0.3, 0.1]]);
      states.push(state());
      await stroke([[0.3, 0.1], [0.2, 0.24], [0.16, 0.4]]);
      states.push(state());
      element("clear").click();
      await frame();
      for (const key of [" ", ..."rrrrrrrr", ..."dlddldddldd"])
        drawing.dispatchEvent(new KeyboardEvent("keydown",
          { key: { " ": " ", r: "ArrowRight", d: "ArrowDown", l: "ArrowLeft" }[key] }));
      await frame();
      states.push(state());
      drawing.dispatchEvent(new KeyboardEvent("keydown", { key: "Delete" }));
      await frame();
      return [...states, state()];
    """
    empty, bar, seven, by_keys, cleared = in_browser(SHIPPED_PAGE.read_text(), DRAW + script, tmp_path)
    assert empty == cleared and empty["found"] == "none yet" and not any(empty["seen"])
    assert seven["found"] == by_keys["found"] == "7"
    assert bar["maps"] != seven["maps"]
    ink = np.array(seven["seen"]).reshape(28, 28) / 255
    places = np.arange(28)
    assert ink.sum(1) @ places / ink.sum() == pytest.approx(14, abs=0.1)
    assert ink.sum(0) @ places / ink.sum() == pytest.approx(14, abs=0.1)
    # Lines of 2.4 pixels along 0.2 + 0.172 + 0.165, and half a circle at both ends, in a box of 20 pixels.
    lengths = np.hypot([0.2, 0.1, 0.04], [0, 0.14, 0.16]).sum() * (20 - 2.4) / 0.3
    assert ink.sum() == pytest.approx(2.4 * lengths + np.pi * 1.2**2, rel=0.05)
    assert 20 <= (ink.max(1) > 0).sum() <= 22
    # Maps of 14 x 14, eight in a row, a pixel apart.
    graph, levels = shipped("mnist_convnet"), data.levels("mnist")
    signs = signs_of(graph, np.array(seven["seen"], np.uint8).reshape(1, 1, 28, 28), levels)[0]
    bits = np.unpackbits(signs.view(np.uint8), bitorder="little").reshape(14, 14, 32)
    picture = np.reshape(seven["maps"][0], (4 * 15 - 1, 8 * 15 - 1))
    for k in range(32):
        y, x = 15 * (k // 8), 15 * (k % 8)
        np.testing.assert_array_equal(picture[y : y + 14, x : x + 14], 255 * bits[..., k])


def colored():
    """A network of pictures in color, of random weights."""
    rng = np.random.default_rng(0)
    window = Window((3, 3), (1, 1), ((1, 1), (1, 1)))
    chain = [
        Quantize(),
        Linear(rng.uniform(-1, 1, (4, 3, 3, 3)), None, None, None, window, None, None),
        Affine(rng.uniform(-1, 1, 4), None, rng.uniform(-1, 1, 4), None, None, None),
        Linear(rng.uniform(-1, 1, (2, 64)), None, None, None, None, None, None),
    ]
    graph = Graph.chain((3, 4, 4), chain)
    images = rng.uniform(-1, 1, (9, 3, 4, 4))
    values = graph.evaluate(lambda operation, *x: operation.real(np, *x), images)
    return quantize(graph, None, magnitudes=[float(np.abs(v).max()) for v in values])


def test_pictures_are_cut_to_their_middle_and_taken_as_red_green_and_blue(tmp_path):
    for program in ("clang", "wasm-ld"):
        compiler(program)
    graph = colored()
    levels = pixel_levels(graph, data.levels("cifar10"))
    text = page(export_c(graph, "colored", levels, title="A </script> net", classes=("cat", "<dog>")))
    script = """
      const canvas = document.createElement("canvas"), pen = canvas.getContext("2d");
      canvas.width = 8;
      canvas.height = 4;
      const picture = pen.createImageData(8, 4);
      picture.data.forEach((_, i) => { picture.data[i] = i % 4 === 3 ? 255 : 37 * i; });
      pen.putImageData(picture, 0, 0);
      const file = new File([await new Promise(done => canvas.toBlob(done))], "picture.png");
      const dropped = new DataTransfer();
      dropped.items.add(file);
      document.dispatchEvent(new DragEvent("drop", { dataTransfer: dropped }));
      while (!element("found").textContent.match(/cat|dog/))
        await new Promise(done => setTimeout(done, 10));
      const middle = new Uint8Array(program.memory.buffer, program.pixels(), 48);
      const result = [[...picture.data], [...middle], element("found").textContent, document.title];
      await showPicture(new File(["no"], "no.png"));
      return [...result, element("how").textContent];
    """
    picture, pixels, found, title, refused = in_browser(text, script, tmp_path)
    middle = np.reshape(picture, (4, 8, 4))[:, 2:6, :3]
    np.testing.assert_array_equal(np.reshape(pixels, (4, 4, 3)), middle)
    scores = Engine(graph, threads=1).run(scale_bytes(middle.transpose(2, 0, 1)[None].astype(np.uint8)))
    assert found == ("cat", "<dog>")[scores.argmax()]
    assert title == "colored"
    assert refused == "no.png is no picture that this browser reads; choose another one"


def test_a_page_needs_nothing_else(digits_page):
    assert not re.search(r"https?:|src=|href=|@\w+@", digits_page.partition("const module")[0])


def test_the_page_of_the_guide_is_what_the_command_writes(tmp_path):
    for program in ("clang", "wasm-ld"):
        compiler(program)
    assert export(CONVNET, tmp_path / "page.html") == 0
    texts = [path.read_text() for path in (SHIPPED_PAGE, tmp_path / "page.html")]
    compiled_by = [re.search(r'"generator" content="(.*?)"', text)[1] for text in texts]
    if compiled_by[0] != compiled_by[1]:
        # Another clang writes other instructions.
        texts = [re.sub(r'const module = ".*?"|"generator" content=".*?"', "", text) for text in texts]
    hint = "write it anew: python -m xnornet export --model models/mnist_convnet.npz --to html --out"
    assert texts[0] == texts[1], f"{hint} docs/mnist_convnet.html"


@pytest.mark.parametrize("missing, package", [("clang", "clang"), ("wasm-ld", "lld")])
def test_a_missing_compiler_is_one_line_with_its_package(missing, package, tmp_path, monkeypatch, capsys):
    found = {"clang": "/bin/true", "wasm-ld": "/bin/true", missing: None}
    monkeypatch.setattr("shutil.which", found.get)
    assert export(DIGITS, tmp_path / "page.html") == 1
    line = error_line(capsys)
    assert f"--to html needs {missing}" in line and line.endswith(f"apt-get install {package}")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "out, says", [("page", "takes the name of an .html file"), ("no/dir.html/x.html", "cannot be written")]
)
def test_a_file_that_cannot_be_written_is_found_before_the_model_is_read(out, says, tmp_path, capsys):
    (tmp_path / "no").write_text("")
    assert export(tmp_path / "missing.npz", tmp_path / out) == 1
    assert says in error_line(capsys)
