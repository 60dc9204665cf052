"""The command that classifies pictures."""

import json
import os
from pathlib import Path

from xnornet.cli.options import positive
from xnornet.errors import DataError, UsageError

__all__ = ["add_classify"]

# Pictures read before they are run.
BATCH = 64


def add_classify(command):
    """Classify pictures with a packed model."""
    add = command.add_argument
    add("--model", type=Path, required=True, metavar="FILE.npz", help="packed model")
    add("pictures", nargs="+", type=Path, metavar="FILE|DIR", help="pictures, or folders of them")
    add("--top", type=positive(int), metavar="K", help="print the K best classes with their scores")
    add("--skip-bad", action="store_true", help="leave out pictures that cannot be read")
    add("--json", action="store_true", help="print one JSON object instead of lines")
    command.set_defaults(command=_classify, interrupted="interrupted")


def _classify(arguments, log, started):
    from xnornet import engine
    from xnornet.data.pictures import color_of

    model = engine.load(arguments.model)
    if len(model.input_shape) != 3 or color_of(model.input_shape[0]) is None:
        raise UsageError(f"{arguments.model}: takes {model.input_shape}, and pictures have 1 or 3 channels")
    results, left_out, files = [], [], _files(arguments.pictures)
    for i in range(0, len(files), BATCH):
        results += _results(arguments, model, files[i : i + BATCH], left_out, log)
    if arguments.json:
        log(json.dumps({"model": str(arguments.model), "pictures": results, "left_out": left_out}))
    return 0


def _results(arguments, model, files, left_out, log):
    """What the model finds on some pictures; printed at once unless as JSON. Adds to those left out."""
    import numpy as np

    from xnornet.data.pictures import color_of, read_picture, unreadable

    channels, *size = model.input_shape
    read, pixels = [], []
    for file in files:
        try:
            pixels.append(read_picture(file, tuple(size), color_of(channels)))
            read.append(file)
        except DataError as error:
            if not arguments.skip_bad:
                raise unreadable(error) from error
            left_out.append(str(error))
            if not arguments.json:
                log(f"left out: {error}")
    if not read:
        return []
    results = []
    for file, scores in zip(read, model.classify(np.stack(pixels))[1], strict=True):
        order = np.argsort(-scores, kind="stable")
        result = {
            "file": str(file),
            "class": model.class_names[order[0]],
            "margin": float(scores[order[0]] - scores[order[1]]) if len(order) > 1 else None,
        }
        if arguments.top is not None:
            best = order[: arguments.top]
            result["scores"] = {model.class_names[k]: float(scores[k]) for k in best}
        results.append(result)
        if not arguments.json:
            log(_sentence(result))
    return results


def _sentence(result):
    if "scores" in result:
        return f"{result['file']}: " + ", ".join(f"{k} {v:.3f}" for k, v in result["scores"].items())
    margin = "" if result["margin"] is None else f" (by {result['margin']:.3f})"
    return f"{result['file']}: {result['class']}{margin}"


def _files(paths):
    """The pictures that are named, and those in folders that are, below them too."""
    from xnornet.data.pictures import is_picture

    files = []
    for path in paths:
        if not path.is_dir():
            files.append(path)
            continue
        below = sorted(Path(top, name) for top, _, names in os.walk(path) for name in names)
        found = [file for file in below if is_picture(file)]
        if not found:
            raise UsageError(f"{path}: has no pictures")
        files += found
    return files
