"""What a report says, against other programs and plain loops, and what its pictures show."""

import csv

import matplotlib.image
import numpy as np
import pytest
from extent import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure
from sklearn.metrics import confusion_matrix

from xnornet.data.dataset import Pixels, Split, scale_bytes
from xnornet.errors import ModelError
from xnornet.report import describe_test, report_folder, write_report
from xnornet.report.pictures import scale_values

NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
FILES = ["confusion.png", "classes.csv", "confusion.csv", "mistakes.png"]


def drawn(seed, count, classes=10, channels=1, decimals=1):
    """Scores with ties, and a split of a few images more than there are scores."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, count + 3).astype(np.int32)
    scores = rng.normal(size=(count, classes)) + 2 * np.eye(classes)[labels[:count]]
    pixels = rng.integers(0, 256, (count + 3, channels, 8, 8)).astype(np.uint8)
    return scores.round(decimals), Split(scale_bytes(pixels), labels)


def rows_of(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


FIGURES = {}


def write(folder, *test):
    """Write the report of a test, and keep its figures by the names of their files."""
    contents = describe_test(*test)
    FIGURES.update({name.removesuffix(".png"): f for name, f in contents.items() if name.endswith(".png")})
    return write_report(folder, contents)


@pytest.fixture
def figures():
    FIGURES.clear()
    return FIGURES


def titles_of(figure):
    return [axes.get_title().splitlines() for axes in figure.axes if axes.get_title()]


def worst_by_a_loop(scores, labels):
    """Every mistake as (image, true class, predicted class, margin), the largest margin first."""
    found = []
    for i, row in enumerate(scores.tolist()):
        predicted = row.index(max(row))
        if predicted != labels[i]:
            found.append((i, int(labels[i]), predicted, row[predicted] - row[labels[i]]))
    return sorted(found, key=lambda mistake: (-mistake[3], mistake[0]))


@settings(max_examples=examples(3))
@given(seed=st.integers(0, 2**32), count=st.integers(1, 60), classes=st.integers(2, 12))
def test_tables_count_as_scikit_learn_does(seed, count, classes, tmp_path_factory):
    scores, split = drawn(seed, count, classes)
    names = [f"class {k}" for k in range(classes)]
    folder = tmp_path_factory.mktemp("report")
    write(folder, scores, split, names, "title")
    counts = confusion_matrix(split.labels[:count], scores.argmax(axis=1), labels=range(classes))
    header, *rows = rows_of(folder / "confusion.csv")
    assert header == ["true", *names]
    assert rows == [[name, *map(str, row)] for name, row in zip(names, counts.tolist(), strict=True)]
    header, *rows = rows_of(folder / "classes.csv")
    assert header == ["class", "images", "errors", "error"]
    for k, (name, images, errors, error) in enumerate(rows):
        here = split.labels[:count] == k
        wrong = int((scores.argmax(axis=1) != k)[here].sum())
        assert (name, int(images), int(errors)) == (names[k], here.sum(), wrong)
        if here.any():
            assert float(error) == pytest.approx(wrong / here.sum(), rel=1e-5)
        else:
            assert error == ""


def test_the_matrix_shows_counts_names_and_the_error(tmp_path, figures):
    scores, split = drawn(0, 200)
    write(tmp_path, scores, split, NAMES, "some network")
    counts = confusion_matrix(split.labels[:200], scores.argmax(axis=1))
    cells, bars = figures["confusion"].axes
    shown = {text.get_position(): text.get_text() for text in cells.texts}
    assert shown == {(j, i): str(counts[i, j]) for i, j in np.ndindex(counts.shape) if counts[i, j]}
    for axis in (cells.xaxis, cells.yaxis):
        assert [label.get_text() for label in axis.get_ticklabels()] == list(NAMES)
    wrong = 200 - counts.trace()
    title = figures["confusion"].get_suptitle()
    assert title == f"some network\nerror {wrong / 200:.2%}: {wrong} of 200 images"
    errors = 1 - counts.diagonal() / counts.sum(axis=1)
    np.testing.assert_allclose([bar.get_width() for bar in bars.patches], errors)
    assert [text.get_text() for text in bars.texts] == [f"{e:.2%}" for e in errors]


def test_mistakes_are_darker_than_as_many_right_answers(tmp_path, figures):
    labels = np.repeat(np.arange(10), 100)
    predicted = labels.copy()
    predicted[0] = 1
    split = Split(np.zeros((1000, 1, 8, 8), np.float32), labels)
    write(tmp_path, np.eye(10)[predicted], split, NAMES, "title")
    colours = figures["confusion"].axes[0].images[0].get_array()
    red, green, blue, _ = colours[0, 1]
    assert red > 2 * green and red > 2 * blue
    assert colours[0, 0][2] > colours[0, 0][0]
    assert (colours[0, 2:] == 1).all()


@settings(max_examples=examples(3))
@given(seed=st.integers(0, 2**32), count=st.integers(60, 90))
def test_the_most_confident_mistakes_come_first(seed, count, tmp_path_factory):
    scores, split = drawn(seed, count)
    write(tmp_path_factory.mktemp("report"), scores, split, NAMES, "title")
    worst = worst_by_a_loop(scores, split.labels)[:25]
    expected = [[f"{NAMES[t]} → {NAMES[p]}", f"margin {m:.3f}, image {i}"] for i, t, p, m in worst]
    assert titles_of(FIGURES["mistakes"]) == expected


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("as_bytes", [False, True])
def test_pictures_are_the_images_as_they_were(tmp_path, figures, channels, as_bytes):
    scores, split = drawn(3, 80, channels=channels)
    pixels = np.rint((split.images / (127 / 128) + 1) * 127.5).astype(np.uint8)
    if as_bytes:
        split = Split(Pixels(pixels, preprocess=lambda some: np.full(some.shape, np.nan)), split.labels)
    write(tmp_path, scores, split, NAMES, "title")
    shown = [axes for axes in figures["mistakes"].axes if axes.images]
    for axes, (i, *_) in zip(shown, worst_by_a_loop(scores, split.labels), strict=False):
        picture = np.asarray(axes.images[0].get_array())
        expected = pixels[i, 0] if channels == 1 else np.stack(list(pixels[i]), axis=-1)
        if not as_bytes:
            # As real numbers are: they have been rounded to 7 bits.
            expected = (np.squeeze(np.moveaxis(split.images[i], 0, -1)) / (127 / 128) + 1) * 127.5
        np.testing.assert_allclose(picture * 255, expected, atol=1e-3)
        assert channels == 3 or axes.images[0].get_clim() == (0, 1)


@pytest.mark.parametrize(("wrong", "rows"), [(1, 1), (7, 2), (25, 5), (40, 5)])
def test_as_many_mistakes_are_shown_as_there_are(tmp_path, figures, wrong, rows):
    labels = np.zeros(50, int)
    predicted = np.where(np.arange(50) < wrong, 1, 0)
    split = Split(np.zeros((50, 1, 8, 8), np.float32), labels)
    write(tmp_path, np.eye(10)[predicted], split, NAMES, "title")
    axes = figures["mistakes"].axes
    assert len(axes) == 5 * rows
    assert sum(bool(a.images) for a in axes) == min(wrong, 25)
    summary = figures["mistakes"].get_suptitle()
    assert f"{wrong} mistake{'' if wrong == 1 else 's'}," in summary
    assert ("25 most confident of" in summary) == (wrong > 25)


def test_without_mistakes_the_picture_says_so(tmp_path, figures):
    split = Split(np.zeros((4, 1, 8, 8), np.float32), np.arange(4))
    write(tmp_path, np.eye(10)[:4], split, NAMES, "title")
    title, text = (text.get_text() for text in figures["mistakes"].texts)
    assert (title, text) == ("title\n4 of 4 images are right", "no mistakes")
    assert not any(axes.images for axes in figures["mistakes"].axes)


def inside(figure):
    """Whether all text of a figure lies within it, and no title on another."""
    renderer = figure._get_renderer()
    figure.draw(renderer)
    width, height = figure.bbox.size
    titles = [axes.title for axes in figure.axes if axes.get_title()]
    texts = [figure._suptitle, *titles, *(t for a in figure.axes for t in a.texts)]
    for axes in figure.axes:
        if axes.axison:
            texts += [*axes.get_xticklabels(), *axes.get_yticklabels(), axes.xaxis.label, axes.yaxis.label]
    boxes = [t.get_window_extent(renderer) for t in texts if t.get_text()]
    fits = all(b.x0 >= 0 and b.y0 >= 0 and b.x1 <= width and b.y1 <= height for b in boxes)
    headings = boxes[: 1 + len(titles)]
    return fits and not any(a.overlaps(b) for i, a in enumerate(headings) for b in headings[:i])


@pytest.mark.parametrize("title", ["title", "a long title " * 20 + "and/a/path" * 30 + " $"])
def test_pictures_are_readable_and_nothing_in_them_is_cut_off(tmp_path, figures, title):
    scores, split = drawn(5, 100, channels=3)
    paths = write(tmp_path / "new" / "folder", scores, split, NAMES, title)
    assert [p.name for p in paths] == sorted(FILES, key=FILES.index)
    assert sorted(p.name for p in paths[0].parent.iterdir()) == sorted(FILES)
    for path in paths:
        if path.suffix == ".png":
            height, width, _ = matplotlib.image.imread(path).shape
            assert 400 <= height <= 2000 and 800 <= width <= 2000
    assert inside(figures["confusion"]) and inside(figures["mistakes"])


def test_a_second_report_takes_the_place_of_the_first(tmp_path):
    scores, split = drawn(6, 20)
    write(tmp_path, scores, split, NAMES, "title")
    before = (tmp_path / "classes.csv").read_text()
    write(tmp_path, scores[:10], split, NAMES, "title")
    assert (tmp_path / "classes.csv").read_text() != before
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(FILES)


@pytest.mark.parametrize(
    ("place", "said"),
    [("file", "found a file"), ("file/below", "cannot be written"), ("a" * 300, "too long")],
)
def test_a_place_that_is_no_folder_is_refused(tmp_path, place, said):
    (tmp_path / "file").write_text("kept")
    scores, split = drawn(7, 5)
    for refuse in (report_folder, lambda path: write(path, scores, split, NAMES, "title")):
        with pytest.raises(ModelError, match=said) as error:
            refuse(tmp_path / place)
        line = str(error.value)
        assert line.startswith(str(tmp_path / place)) and "--report" in line and "\n" not in line
    assert (tmp_path / "file").read_text() == "kept"


def test_a_file_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "mistakes.png" / "kept").mkdir(parents=True)
    scores, split = drawn(8, 5)
    with pytest.raises(ModelError, match="mistakes.png: cannot be written .*; .* --report$") as error:
        write(tmp_path, scores, split, NAMES, "title")
    assert "--out" not in str(error.value)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(FILES)


def test_a_report_that_is_not_finished_leaves_the_one_before(tmp_path, monkeypatch):
    scores, split = drawn(8, 5)
    paths = write(tmp_path, scores, split, NAMES, "title")
    before = [path.read_bytes() for path in paths]
    contents = describe_test(scores[:3], split, NAMES, "another title")

    def killed(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(contents["mistakes.png"], "savefig", killed)
    with pytest.raises(KeyboardInterrupt):
        write_report(tmp_path, contents)
    assert [path.read_bytes() for path in paths] == before
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(FILES)


@pytest.mark.parametrize("shape", [(0, 10), (9, 10), (5, 9), (5,)])
def test_scores_that_do_not_fit_the_images_are_refused(tmp_path, shape):
    _, split = drawn(9, 5)
    with pytest.raises(ValueError, match=r"scores of shape \(images, classes\), up to \(8, 10\); got"):
        write(tmp_path / "folder", np.zeros(shape), split, NAMES, "title")
    assert not (tmp_path / "folder").exists()


@settings(max_examples=examples(50))
@given(
    values=st.lists(st.just(0.0) | st.floats(1e-5, 1), min_size=1, max_size=5),
    percent=st.booleans(),
)
def test_an_axis_holds_all_values_and_names_at_least_two(values, percent):
    axes = Figure().subplots()
    axes.plot(values, "o")
    scale_values(axes, values, percent)
    low, high = axes.get_ylim()
    assert low < min(values) and max(values) < high
    ticks = [t for t in axes.get_yticks() if low <= t <= high]
    labels = axes.yaxis.get_major_formatter().format_ticks(ticks)
    assert 2 <= len(set(labels)) == len(labels) <= 16
    numbers = [float(t.rstrip("%")) / (100 if percent else 1) for t in labels]
    np.testing.assert_allclose(numbers, ticks, rtol=1e-4, atol=1e-12)
    assert all(t.endswith("%") == percent for t in labels)
