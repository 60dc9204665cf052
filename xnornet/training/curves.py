"""What a run leaves to look at: a table of its epochs and a picture of them."""

import csv
import io

from xnornet.model import write_atomically

__all__ = ["COLUMNS", "write_curves", "write_log"]

COLUMNS = ("epoch", "lr", "loss", "train_error", "valid_error", "images_per_second", "seconds")


def write_log(path, history):
    """Write one CSV row for each epoch; errors are shares, not percent."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows({c: f"{row[c]:.6g}" for c in COLUMNS} for row in history)
    write_atomically(path, lambda file: file.write(text.getvalue().encode()))


def write_curves(path, history, title):
    """Draw loss, errors and rate by epoch into a PNG."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator, PercentFormatter

    epochs = [row["epoch"] for row in history]
    figure = Figure(figsize=(10, 4), layout="constrained")
    losses, errors = figure.subplots(1, 2)
    figure.suptitle(title)
    marker = "o" if len(history) < 40 else None
    losses.plot(epochs, [row["loss"] for row in history], marker=marker, ms=3, label="training loss")
    losses.plot(epochs, [row["lr"] for row in history], "--", color="tab:gray", label="learning rate")
    losses.set(xlabel="epoch", yscale="log", title="squared hinge loss, learning rate")
    for key, label in (("train_error", "training"), ("valid_error", "validation")):
        errors.plot(epochs, [row[key] for row in history], marker=marker, ms=3, label=label)
    best = min(history, key=lambda row: (row["valid_error"], -row["epoch"]))
    errors.plot(best["epoch"], best["valid_error"], "k*", ms=10, label=f"best {best['valid_error']:.2%}")
    errors.set(xlabel="epoch", yscale="log", title="error")
    errors.yaxis.set_major_formatter(PercentFormatter(1, decimals=2))
    errors.yaxis.set_major_locator(LogLocator(subs=(1, 1.5, 2, 3, 5, 7)))
    errors.yaxis.set_minor_locator(NullLocator())
    for axes in (losses, errors):
        axes.grid(alpha=0.3, which="both")
        axes.legend()
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    write_atomically(path, lambda file: figure.savefig(file, format="png", dpi=110))
