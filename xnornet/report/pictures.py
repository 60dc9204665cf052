"""Pictures and tables of a test: the confusion matrix, and the most confident mistakes.

Scores are computed elsewhere. Matplotlib is loaded when something is drawn, not before.
"""

import csv
import math
import os
import tempfile
import textwrap
from pathlib import Path

import numpy as np

from xnornet.data.dataset import FULL_SCALE
from xnornet.disk import probe
from xnornet.errors import WriteError

__all__ = ["describe_test", "report_folder", "scale_values", "wrap_title", "write_report"]

GRID = 5


def write_report(folder, contents):
    """Write tables and pictures into a folder. All are complete before the first one replaces an older file.

    Parameters
    ----------
    folder : str or Path
        Made if it is not there.
    contents : dict
        By the names of files, Matplotlib figures for ``.png`` and lists of rows for ``.csv``.

    Returns
    -------
    list of Path
        The files written.

    Raises
    ------
    WriteError
        The folder cannot be made or written.
    """
    folder, name = report_folder(folder), ""
    try:
        with tempfile.TemporaryDirectory(prefix=".report.", dir=folder) as temporary:
            for name, content in contents.items():
                _write(Path(temporary) / name, content)
            for name in contents:
                os.replace(Path(temporary) / name, folder / name)
    except OSError as error:
        raise _refusal(folder / name, error) from error
    return [folder / name for name in contents]


def report_folder(path):
    """Make a folder for reports and check that files can be written to it.

    Returns
    -------
    Path

    Raises
    ------
    WriteError
        A file is in its place, or the disk does not take it.
    """
    path = Path(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
        probe(path / "report")
    except FileExistsError as error:
        raise WriteError(
            f"{path}: should be a folder; found a file. Choose another place with --report"
        ) from error
    except OSError as error:
        raise _refusal(path, error) from error
    return path


def _refusal(path, error):
    reason = error.strerror or error
    return WriteError(
        f"{path}: cannot be written ({reason}); make room there, or choose another place with --report"
    )


def _write(path, content):
    if path.suffix == ".png":
        content.savefig(path, format="png", dpi=110)
        return
    with open(path, "w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(content)


def describe_test(scores, split, class_names, title):
    """Tables and pictures of a test.

    ``classes.csv`` has the columns ``class``, ``images``, ``errors`` and ``error``, a share, empty for a
    class without images. ``confusion.csv`` has a row for each true class and a column for each predicted
    one; ``confusion.png`` shows both tables. ``mistakes.png`` shows the 25 mistakes whose winning score is
    furthest above that of the true class.

    Parameters
    ----------
    scores : float array, ``(n, classes)``
        The class with the largest score wins, the first of those with equal ones.
    split : Split
        Its first ``n`` images are those that the scores are of. They are shown as ``images.bytes`` where
        they have such, which preprocessing has left alone, else scaled from [-FULL_SCALE, FULL_SCALE].
    class_names : sequence of str
    title : str
        First line of each picture.

    Returns
    -------
    dict
        What :func:`write_report` takes.

    Raises
    ------
    ValueError
        The scores are not of the images, or not of the classes.
    """
    scores = np.asarray(scores)
    labels = np.asarray(split.labels)[: len(scores)]
    if not len(labels) or scores.shape != (len(labels), len(class_names)):
        raise ValueError(
            f"A report takes scores of shape (images, classes), up to ({len(split.labels)}, "
            f"{len(class_names)}); got {scores.shape}"
        )
    counts = np.zeros((len(class_names),) * 2, int)
    np.add.at(counts, (labels, scores.argmax(axis=1)), 1)
    images = counts.sum(axis=1)
    errors = images - counts.diagonal()
    classes = [
        (name, m, e, f"{e / m:.6g}" if m else "")
        for name, m, e in zip(class_names, images, errors, strict=True)
    ]
    confusion = [(name, *row) for name, row in zip(class_names, counts, strict=True)]
    return {
        "confusion.png": _draw_confusion(counts, class_names, title),
        "classes.csv": [("class", "images", "errors", "error"), *classes],
        "confusion.csv": [("true", *class_names), *confusion],
        "mistakes.png": _draw_mistakes(scores, labels, split.images, class_names, title),
    }


def wrap_title(title, width):
    """Break a title into lines of at most ``width`` characters."""
    return "\n".join(textwrap.fill(line, width) for line in title.splitlines())


def scale_values(axes, values, percent=False):
    """Choose scale and ticks of a vertical axis for values that are not negative.

    It is logarithmic, with round numbers, where they are of several magnitudes; if there is a zero among
    them, linear below the least of the others. Otherwise it is linear.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
        With the values drawn.
    values : list of float
    percent : bool
        Label them in percent.
    """
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    positive = [v for v in values if v > 0]
    least, most = min(positive, default=1), max(positive, default=1)
    if most > 5 * least:
        steps = (1, 1.5, 2, 3, 4, 5, 7) if most < 10 * least else (1, 2, 5) if most < 1000 * least else (1,)
        margin = (most / least) ** 0.05
        decades = range(math.floor(math.log10(least)), math.ceil(math.log10(most)) + 1)
        ticks = [step * 10.0**decade for decade in decades for step in steps]
        if len(positive) == len(values):
            axes.set_yscale("log")
            bottom = least / margin
        else:
            axes.set_yscale("symlog", linthresh=least, linscale=0.3)
            bottom = -least / 2
            ticks = [0, *(t for t in ticks if t >= least)]
        axes.yaxis.set_major_locator(FixedLocator(ticks))
        axes.set_ylim(bottom, most * margin)
        axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(
        FuncFormatter(lambda value, _: f"{100 * value:g}%" if percent else f"{value:g}")
    )


def _draw_confusion(counts, class_names, title):
    from matplotlib.figure import Figure

    size = 3 + 0.5 * len(class_names)
    figure = Figure(figsize=(size + 3, size + 0.5), layout="constrained")
    cells, bars = figure.subplots(1, 2, sharey=True, width_ratios=(size, 2.5))
    wrong, total = counts.sum() - counts.trace(), counts.sum()
    summary = f"error {wrong / total:.2%}: {wrong} of {total} images"
    figure.suptitle(f"{wrap_title(title, round(11 * size))}\n{summary}", parse_math=False)
    _draw_cells(cells, counts, class_names)
    _draw_class_errors(bars, counts)
    return figure


def _draw_cells(axes, counts, class_names):
    """Counts in cells. Mistakes have a separate colour scale, since they are few compared to the rest."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    n = len(counts)
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    diagonal = np.eye(n, dtype=bool)
    most = share[~diagonal].max(initial=0) or 1
    colours = ScalarMappable(Normalize(-0.15 * most, 1.25 * most), "Reds").to_rgba(share)
    # Half of the scale, so that all of it is light enough for black numbers.
    colours[diagonal] = ScalarMappable(Normalize(0, 2), "Blues").to_rgba(share.diagonal())
    colours[counts == 0] = 1
    axes.imshow(colours, aspect="auto")
    for i, j in np.argwhere(counts):
        dark = i != j and share[i, j] > 0.6 * most
        axes.text(j, i, counts[i, j], ha="center", va="center", color="white" if dark else "black")
    axes.set(xlabel="predicted class", ylabel="true class", xticks=range(n), yticks=range(n))
    axes.set_title("blue: right, red: mistaken; the darker, the more of the true class", fontsize=10)
    axes.set_yticklabels(class_names, parse_math=False)
    long = max(map(len, class_names)) > 3
    turned = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"} if long else {}
    axes.set_xticklabels(class_names, parse_math=False, **turned)
    axes.set_xticks(np.arange(n + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(n + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="0.85", lw=0.8)
    axes.tick_params(which="both", length=0)


def _draw_class_errors(axes, counts):
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    images = counts.sum(axis=1)
    errors = np.where(images, 1 - counts.diagonal() / np.maximum(images, 1), 0)
    axes.barh(range(len(counts)), errors, color="tab:red", height=0.6)
    for i, (error, m) in enumerate(zip(errors, images, strict=True)):
        label = f"{error:.2%}" if m else "no images"
        axes.annotate(label, (error, i), (4, 0), textcoords="offset points", va="center")
    # Room for the labels.
    axes.set(xlim=(0, 1.5 * errors.max() or 1), xlabel="error")
    axes.set_title("error by class", fontsize=10)
    axes.xaxis.set_major_locator(MaxNLocator(3))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:g}%"))
    axes.tick_params(axis="y", which="both", length=0, labelleft=False)
    axes.spines[["top", "right"]].set_visible(False)


def _draw_mistakes(scores, labels, images, class_names, title):
    from matplotlib.figure import Figure

    predicted = scores.argmax(axis=1)
    margins = scores.max(axis=1) - scores[np.arange(len(labels)), labels]
    wrong = predicted != labels
    worst = _most_confident(wrong, margins)
    rows = max(1, -(-len(worst) // GRID))
    figure = Figure(figsize=(11, 1 + 2.55 * rows), layout="constrained")
    figure.suptitle(f"{wrap_title(title, 105)}\n{_summary(wrong)}", parse_math=False)
    for axes, i in zip(figure.subplots(rows, GRID).flat, [*worst, *[None] * GRID], strict=False):
        axes.set_axis_off()
        if i is None:
            continue
        axes.imshow(_picture(images, i), cmap="gray", vmin=0, vmax=1)
        names = f"{class_names[labels[i]]} → {class_names[predicted[i]]}"
        axes.set_title(f"{names}\nmargin {margins[i]:.3f}, image {i}", fontsize=10, parse_math=False)
    if not wrong.any():
        figure.text(0.5, 0.4, "no mistakes", ha="center", va="center", fontsize=30, color="gray")
    return figure


def _summary(wrong):
    count = np.count_nonzero(wrong)
    if not count:
        return f"{len(wrong)} of {len(wrong)} images are right"
    mistakes = f"{count} mistake{'s' if count > 1 else ''}"
    which = f"the {GRID * GRID} most confident of {mistakes}" if count > GRID * GRID else mistakes
    return f"{which}, true → predicted; margin: wrong score less true class's score"


def _most_confident(wrong, margins):
    """Rows of the mistakes with the largest margins, in descending order; ties keep their order."""
    mistakes = np.flatnonzero(wrong)
    return mistakes[np.argsort(-margins[mistakes], kind="stable")][: GRID * GRID]


def _picture(images, i):
    """One image as Matplotlib takes it, ``(rows, columns)`` or ``(rows, columns, 3)``, in [0, 1]."""
    if hasattr(images, "bytes"):
        picture = images.bytes[i] / 255
    else:
        picture = np.clip((images[i] / FULL_SCALE + 1) / 2, 0, 1)
    return picture[0] if len(picture) == 1 else picture.transpose(1, 2, 0)
