#!/usr/bin/env python
"""Scores of exported models against the engine's, on all test images: each has to be equal, bit for bit.

Exported C is compiled with gcc and clang, without optimization and with, under the address and
undefined-behaviour sanitizers, and by ``-O3`` alone; exported ONNX is run in ONNX Runtime. The exit status
is 1 where a score differs.

    python benchmarks/exactness.py models/mnist_convnet.npz
    python benchmarks/exactness.py models/*.npz --to onnx
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT / "tests/strategies"))

import numpy as np  # noqa: E402
from c_programs import SANITIZED, scores_in_c  # noqa: E402

from xnornet import data  # noqa: E402
from xnornet.engine import Engine  # noqa: E402
from xnornet.export.c import export_c, pixel_levels, write_folder  # noqa: E402
from xnornet.graph import load_packed  # noqa: E402

COMPILERS = ("gcc", "clang")
BUILDS = {f"{name} {level}": (name, level, *SANITIZED) for name in COMPILERS for level in ("-O0", "-O3")}
# What ships. Large networks take hours for all images under the sanitizers, and minutes so.
BUILDS |= {f"{name} -O3 alone": (name, "-O3") for name in COMPILERS}

LINE = "{model}, {build}: {equal} of {images} images are exact, error {error:.2f}%, {seconds:.1f} s"

# Images that ONNX Runtime takes at a time.
BATCH = 100


def test_pixels(dataset, count, path=None):
    """Test images as the values of their pixels, the numbers that those stand for, and labels."""
    test, numbers = data.load(dataset, path).test, data.levels(dataset)
    images = np.asarray(test.images[:count])
    pixels = np.searchsorted(numbers, images).astype(np.uint8)
    if not np.array_equal(numbers[pixels], images):
        raise ValueError(f"images of {dataset} hold numbers that no pixel stands for")
    return pixels, numbers, test.labels[: len(images)]


def in_c(graph, info, pixels, numbers, builds=tuple(BUILDS)):
    """What each build is called, and its scores."""
    with tempfile.TemporaryDirectory() as scratch:
        export = export_c(graph, "net", pixel_levels(graph, numbers))
        write_folder(Path(scratch, "net"), export.files(pixels[:1]))
        for name in builds:
            program, *flags = BUILDS[name]
            yield name, scores_in_c(Path(scratch, "net"), "net", pixels, *flags, program=program)


def in_onnx(graph, info, pixels, numbers, builds=None):
    """ONNX Runtime's name and version, and its scores."""
    import onnxruntime

    from xnornet.export.onnx import to_onnx

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    model = to_onnx(graph, info).SerializeToString()
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    scores = [
        session.run(["scores"], {"pixels": pixels[i : i + BATCH]})[0] for i in range(0, len(pixels), BATCH)
    ]
    yield f"ONNX Runtime {onnxruntime.__version__}", np.concatenate(scores)


FORMS = {"c": in_c, "onnx": in_onnx}


def compare(path, form, count=None, folder=None, builds=tuple(BUILDS)):
    """A row for each build: images, how many of them have the engine's scores, error in percent, seconds."""
    graph, info = load_packed(path)
    pixels, numbers, labels = test_pixels(info["dataset"], count, folder)
    expected = Engine(graph).run(numbers[pixels])
    begun = time.perf_counter()
    for build, scores in FORMS[form](graph, info, pixels, numbers, builds):
        equal = int(np.all(scores.reshape(expected.shape) == expected, axis=1).sum())
        error = 100 * float(np.mean(scores.reshape(expected.shape).argmax(1) != labels))
        row = {"model": path.stem, "build": build, "images": len(pixels), "equal": equal, "error": error}
        yield {**row, "seconds": time.perf_counter() - begun}
        begun = time.perf_counter()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("models", nargs="+", type=Path, metavar="FILE.npz", help="packed models")
    parser.add_argument("--to", choices=FORMS, default="c", help="form that is compared")
    parser.add_argument("--builds", nargs="+", choices=BUILDS, default=[*BUILDS], help="of C")
    parser.add_argument("--no", type=int, metavar="N", help="test images (default: all)")
    parser.add_argument("--data", type=Path, metavar="DIR", help="folder of the datasets' folders")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of lines")
    arguments = parser.parse_args()
    rows = []
    for path in arguments.models:
        for row in compare(path, arguments.to, arguments.no, arguments.data, arguments.builds):
            rows.append(row)
            if not arguments.json:
                print(LINE.format(**row), flush=True)
    if arguments.json:
        print(json.dumps(rows))
    return int(any(row["equal"] < row["images"] for row in rows))


if __name__ == "__main__":
    sys.exit(main())
