"""Curves: what each panel shows, for runs of any length and any errors."""

import matplotlib.image
import numpy as np
import pytest
from matplotlib.figure import Figure

from xnornet.training.curves import write_curves


def history(epochs, lowest=0.001):
    """Rows as the loop makes them; the last errors are ``lowest``."""
    rates = np.geomspace(0.01, 0.0001, epochs) if epochs > 1 else [0.01]
    errors = np.linspace(0.3, lowest, epochs)
    return [
        {"epoch": i + 1, "lr": float(r), "loss": 0.1 * e, "train_error": float(e), "valid_error": float(e)}
        for i, (r, e) in enumerate(zip(rates, errors, strict=True))
    ]


@pytest.fixture
def drawn(monkeypatch):
    """The figures that are written."""
    figures, save = [], Figure.savefig

    def keep(figure, file, **options):
        figures.append(figure)
        save(figure, file, **options)

    monkeypatch.setattr(Figure, "savefig", keep)
    return figures


def test_loss_rate_and_errors_have_a_panel_each(tmp_path, drawn):
    rows = history(12)
    write_curves(tmp_path / "c.png", rows, "title", loss="cross-entropy")
    panels = drawn[0].axes
    assert [axes.get_title() for axes in panels] == ["cross-entropy, training", "learning rate", "error"]
    for axes, key in zip(panels, ("loss", "lr", "train_error"), strict=True):
        line = axes.lines[0].get_xydata().tolist()
        assert line == [[row["epoch"], row[key]] for row in rows]


def test_the_rate_can_be_read_from_its_axis(tmp_path, drawn):
    write_curves(tmp_path / "c.png", history(12), "title")
    axes = drawn[0].axes[1]
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert {"0.01", "0.001", "0.0001"} <= set(labels)


def test_the_loss_is_the_squared_hinge_loss_unless_named(tmp_path, drawn):
    write_curves(tmp_path / "c.png", history(2), "title")
    assert drawn[0].axes[0].get_title() == "squared hinge loss, training"


@pytest.mark.parametrize("epochs", [1, 2, 60])
@pytest.mark.parametrize("lowest", [0.0, 0.29, 1e-5])
@pytest.mark.parametrize(
    "title", ["title", "a long title, and/a/path_without_spaces " * 12 + "/x" * 200 + "$"]
)
def test_everything_lies_within_the_picture(tmp_path, drawn, epochs, lowest, title):
    path = tmp_path / "c.png"
    write_curves(path, history(epochs, lowest), title, loss="a loss with a long name " * 3)
    (figure,) = drawn
    renderer = figure._get_renderer()
    figure.draw(renderer)
    texts = [figure._suptitle, *(axes.title for axes in figure.axes)]
    for axes in figure.axes:
        # Matplotlib keeps a label beyond each end, which it does not draw.
        low, high = axes.get_xlim()
        texts += [label for label in axes.get_xticklabels() if low <= label.get_position()[0] <= high]
    boxes = [text.get_window_extent(renderer) for text in texts]
    width, height = figure.bbox.size
    assert all(b.x0 >= 0 and b.y0 >= 0 and b.x1 <= width and b.y1 <= height for b in boxes)
    assert not any(a.overlaps(b) for i, a in enumerate(boxes[:4]) for b in boxes[:i])
    for axes in figure.axes:
        assert all(float(label.get_text()) % 1 == 0 for label in axes.get_xticklabels())
        low, high = axes.get_ylim()
        values = np.concatenate([line.get_ydata() for line in axes.lines])
        assert low < values.min() and values.max() < high
    assert matplotlib.image.imread(path).shape == (440, 1430, 4)
