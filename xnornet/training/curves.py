"""A table and a figure of the epochs of a run."""

import csv
import io

from xnornet.archives import write_atomically
from xnornet.report.pictures import scale_values, wrap_title

__all__ = ["COLUMNS", "write_curves", "write_log"]

COLUMNS = ("epoch", "lr", "loss", "train_error", "valid_error", "images_per_second", "seconds")


def write_log(path, history):
    """Write one CSV row for each epoch; errors are shares, not percent."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows({c: f"{row[c]:.6g}" for c in COLUMNS} for row in history)
    write_atomically(path, lambda file: file.write(text.getvalue().encode()))


def write_curves(path, history, title, loss="squared hinge loss"):
    """Draw loss, learning rate and errors by epoch into a PNG.

    Parameters
    ----------
    path : str or Path
    history : list of dict
        A row for each epoch, with the keys `COLUMNS`.
    title : str
    loss : str
        Name of the loss.

    Raises
    ------
    ModelError
        The file cannot be written.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(13, 4), layout="constrained")
    figure.suptitle(wrap_title(title, 130), parse_math=False)
    losses, rates, errors = figure.subplots(1, 3)
    style = {"marker": "o" if len(history) < 40 else None, "ms": 3}
    epochs = [row["epoch"] for row in history]
    for axes, key, name in ((losses, "loss", f"{loss}, training"), (rates, "lr", "learning rate")):
        axes.plot(epochs, [row[key] for row in history], **style)
        axes.set_title(wrap_title(name, 40), parse_math=False)
        scale_values(axes, [row[key] for row in history])
    for key, label in (("train_error", "training"), ("valid_error", "validation")):
        errors.plot(epochs, [row[key] for row in history], **style, label=label)
    best = min(history, key=lambda row: (row["valid_error"], -row["epoch"]))
    errors.plot(best["epoch"], best["valid_error"], "k*", ms=10, label=f"best {best['valid_error']:.2%}")
    shares = [row[key] for row in history for key in ("train_error", "valid_error")]
    scale_values(errors, shares, percent=True)
    errors.set_title("error")
    errors.legend()
    for axes in (losses, rates, errors):
        axes.set(xlabel="epoch", xlim=(epochs[0] - 0.5, epochs[-1] + 0.5))
        axes.grid(alpha=0.3)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    write_atomically(path, lambda file: figure.savefig(file, format="png", dpi=110))
