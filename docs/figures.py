"""Draw the figures of the documentation: `python docs/figures.py` writes docs/figures/*.svg.

The digit is drawn as strokes and prepared as MNIST's authors prepared theirs. Its bits and scores come from
the model that ships.
"""

from pathlib import Path

import matplotlib
import matplotlib.figure
import matplotlib.patches
import numpy as np
from scipy.interpolate import make_interp_spline

import xnornet
from xnornet.data.dataset import scale_bytes
from xnornet.fixedpoint import Q

HERE = Path(__file__).resolve().parent
FOLDER = HERE / "figures"
MODEL = HERE.parent / "models/mnist_convnet.npz"

# Strokes of a 5, as points (x, y) in any unit, y downwards.
FIVE = [[(8, 1), (2, 1), (1.6, 6), (4, 5), (7, 5.6), (8.6, 8), (7.6, 11), (4.6, 12.3), (1.2, 11)]]

BLUE, ORANGE, GREY = "#2b6cb0", "#dd6b20", "#a0aec0"

matplotlib.use("svg")
# The same drawing gives the same file.
matplotlib.rcParams.update(
    {"svg.hashsalt": "xnornet", "svg.fonttype": "none", "font.size": 10, "figure.facecolor": "white"}
)


def smooth(stroke, points=200):
    """A stroke as a curve through its points."""
    stroke = np.array(stroke, float)
    places = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(stroke, axis=0).T))])
    return make_interp_spline(places, stroke, k=2)(np.linspace(0, places[-1], points))


def digit(strokes, size=28, longer_side=20, width=2.4):
    """Pixels of a drawing, uint8, with its centre of mass in the middle."""
    curves = [smooth(stroke) for stroke in strokes]
    every = np.concatenate(curves)
    scale = longer_side / np.ptp(every, axis=0).max()
    curves = [(curve - every.mean(axis=0)) * scale + size / 2 for curve in curves]
    for _ in range(3):
        y, x = np.mgrid[:size, :size] + 0.5
        points = np.concatenate(curves)
        distance = np.hypot(x[..., None] - points[:, 0], y[..., None] - points[:, 1]).min(axis=-1)
        pixels = np.clip((width + 1) / 2 - distance, 0, 1)
        centre = [(pixels * axis).sum() / pixels.sum() for axis in (x, y)]
        curves = [curve + size / 2 - centre for curve in curves]
    return np.uint8(np.round(255 * pixels))


def save(figure, name):
    figure.savefig(FOLDER / f"{name}.svg", bbox_inches="tight", metadata={"Date": None})


def new(width, height, columns=1, **options):
    figure = matplotlib.figure.Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots(1, columns, squeeze=False, **options)[0]


def digit_bits_class():
    """A digit, signs of the binary layer's input, and the score of each class."""
    graph, info = xnornet.load_packed(MODEL)
    pixels = digit(FIVE)
    images = scale_bytes(pixels[None, None])
    values = graph.evaluate(lambda operation, *n: operation.exact(np, *n), images)
    (layer,) = [i for i, node in enumerate(graph.nodes) if node.operation.kind == "xnor"][:1]
    signs = values[graph.nodes[layer].inputs[0]][0] >= 0
    scores = values[-1][0] / 2.0**graph.q_out.f
    figure, (drawn, bits, classes) = new(9, 2.8, 3, width_ratios=[1, 1.9, 1.3])
    drawn.imshow(pixels, cmap="gray")
    drawn.set_title("drawn")
    # Eight channels above eight, with a gap between them.
    channels = np.pad(signs[:16].astype(float), ((0, 0), (1, 1), (1, 1)), constant_values=0.5)
    rows = [np.concatenate(list(channels[i : i + 8]), axis=1) for i in (0, 8)]
    bits.imshow(np.concatenate(rows), cmap="gray", interpolation="nearest", aspect="equal")
    bits.set_title(f"bits: 16 of {len(signs)} channels of signs")
    for axes in (drawn, bits):
        axes.set_axis_off()
    names = info["class_names"]
    best = scores.argmax()
    colors = [ORANGE if i == best else GREY for i in range(len(names))]
    classes.bar(names, scores - scores.min(), color=colors)
    classes.set(title=f"class: {names[best]}", yticks=[])
    classes.spines[["top", "left", "right"]].set_visible(False)
    save(figure, "digit_bits_class")


def xnor_popcount():
    """A dot product of eight signs, counted on bits."""
    I = np.array([1, -1, -1, 1, 1, -1, 1, 1])
    W = np.array([1, 1, -1, -1, 1, -1, 1, -1])
    differ = I != W
    figure, (axes,) = new(7, 2.3)
    rows = [("sign(I)", I, I > 0), ("sign(W)", W, W > 0), ("exclusive or", None, differ)]
    for y, (name, signs, bits) in enumerate(rows):
        axes.text(-0.4, -y, name, ha="right", va="center")
        for x, bit in enumerate(bits):
            color = (ORANGE if bit else "white") if signs is None else (BLUE if bit else "white")
            box = matplotlib.patches.Rectangle(
                (x, -y - 0.4), 0.9, 0.8, facecolor=color, edgecolor="black", lw=0.8
            )
            axes.add_patch(box)
            text = f"{signs[x]:+d}  " if signs is not None else ""
            axes.text(
                x + 0.45, -y, f"{text}{int(bit)}", ha="center", va="center", color="white" if bit else "black"
            )
    count = differ.sum()
    formula = f"I . W = {len(I)} - 2 * {count} = {I @ W:+d}"
    assert I @ W == len(I) - 2 * count
    axes.text(0, -3, f"{count} bits differ:   {formula}", va="center")
    axes.set(xlim=(-2.2, 8), ylim=(-3.4, 0.5))
    axes.set_axis_off()
    save(figure, "xnor_popcount")


def straight_through():
    """The sign, and the gradient in its place."""
    x = np.linspace(-2, 2, 801)
    figure, (left, right) = new(7, 2.3, 2)
    left.plot(x, np.where(x >= 0, 1, -1), color=BLUE)
    left.set(title="forward: sign(x)", yticks=[-1, 0, 1])
    right.plot(x, abs(x) <= 1, color=ORANGE)
    right.set(title="backward: 1 where |x| ≤ 1, else 0", yticks=[0, 1])
    for axes in (left, right):
        axes.set(xlabel="x", xticks=[-2, -1, 0, 1, 2])
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    save(figure, "straight_through")


def formats():
    """A number and the multiples of a step around it, in a coarse and in a finer format."""
    x = 0.3
    figure, axes = new(7, 1.9, 2)
    for place, q in zip(axes, (Q(7, 0), Q(9, 0)), strict=True):
        n = int(q.quantize(x))
        around = np.arange(n - 3, n + 4)
        place.hlines(0, around[0] / 2**q.f, around[-1] / 2**q.f, color=GREY)
        place.plot(around / 2**q.f, 0 * around, "|", color="black", ms=14)
        place.plot(n / 2**q.f, 0, "o", color=BLUE)
        place.plot(x, 0, "x", color=ORANGE, ms=9, mew=2)
        for k in around[::2]:
            place.text(k / 2**q.f, -0.5, str(k), ha="center", va="top", fontsize=8)
        place.set(title=f"Q({q.bits}, {q.int_bits}): 0.3 becomes {n} / {2**q.f}", ylim=(-1.4, 1))
        place.set_axis_off()
    save(figure, "formats")


def threshold():
    """Batch norm of a product, and the least product at which its sign is +1."""
    p = np.arange(-9, 10, 2)
    y = 0.3 * p - 0.6
    t = p[y >= 0][0]
    figure, (axes,) = new(6, 2.6)
    axes.axhline(0, color="black", lw=0.8)
    axes.plot(p, y, color=GREY)
    axes.plot(p[y < 0], y[y < 0], "o", color="white", markeredgecolor=BLUE, label="bit 0")
    axes.plot(p[y >= 0], y[y >= 0], "o", color=BLUE, label="bit 1")
    axes.axvline(t - 1, color=ORANGE, ls="--", label=f"bit = (p ≥ {t})")
    axes.set(xlabel="product p of 9 signs", ylabel="after batch norm", xticks=p)
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    save(figure, "threshold")


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for draw in (digit_bits_class, xnor_popcount, straight_through, formats, threshold):
        draw()
