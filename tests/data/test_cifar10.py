"""CIFAR-10 from small batches pickled here in every form, hostile ones among them, and the real files."""

import copyreg
import hashlib
import io
import os
import pickle
import struct
import subprocess
import tarfile
import tempfile
from pathlib import Path

import numpy as np
import pytest
from extent import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from xnornet import data
from xnornet.data import cifar10

COUNT, NUM_VALID = 20, 7
NAMES = ["data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch"]


def pixels(i):
    return np.random.default_rng(i).integers(0, 256, (COUNT, 3072)).astype(np.uint8)


def labels(i):
    return [(i + 3 * k) % 10 for k in range(COUNT)]


def batch(i):
    return {
        "batch_label": "some text",
        "labels": labels(i),
        "data": pixels(i),
        "filenames": ["a.png"] * COUNT,
    }


def as_bytes(value):
    """Text as bytes, all the way down, as Python 2 had it."""
    if isinstance(value, dict):
        return {as_bytes(k): as_bytes(v) for k, v in value.items()}
    if isinstance(value, list):
        return [as_bytes(v) for v in value]
    return value.encode() if isinstance(value, str) else value


def python2(images, labels, core="numpy.core"):
    """The opcodes of the published files: protocol 2 as Python 2 wrote it, text as byte strings."""

    def text(value):
        return b"U" + bytes([len(value)]) + value

    content = images.tobytes()
    return b"".join(
        [
            b"\x80\x02}q\x01(",
            text(b"batch_label") + b"q\x02" + text(b"training batch 1 of 5") + b"q\x03",
            text(b"labels") + b"q\x04]q\x05(" + b"".join(b"K" + bytes([n]) for n in labels) + b"e",
            text(b"data") + b"q\x06",
            b"c" + core.encode() + b".multiarray\n_reconstruct\nq\x07cnumpy\nndarray\nq\x08K\x00\x85q\x09",
            text(b"b") + b"q\x0a\x87q\x0bRq\x0c",
            b"(K\x01" + b"".join(b"M" + struct.pack("<H", n) for n in images.shape) + b"\x86q\x0d",
            b"cnumpy\ndtype\nq\x0e" + text(b"u1") + b"q\x0fK\x00K\x01\x87q\x10Rq\x11",
            b"(K\x03" + text(b"|") + b"q\x12NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tq\x13b",
            b"\x89T" + struct.pack("<I", len(content)) + content + b"q\x14tq\x15b",
            text(b"filenames") + b"q\x16]q\x17(" + text(b"a.png") * len(labels) + b"eu.",
        ]
    )


FORMS = {
    "Python 2": lambda i: python2(pixels(i), labels(i)),
    "Python 2, NumPy 2": lambda i: python2(pixels(i), labels(i), core="numpy._core"),
    **{f"str, protocol {p}": lambda i, p=p: pickle.dumps(batch(i), p) for p in range(6)},
    **{f"bytes, protocol {p}": lambda i, p=p: pickle.dumps(as_bytes(batch(i)), p) for p in range(6)},
    "Fortran order": lambda i: pickle.dumps({**batch(i), "data": np.asfortranarray(pixels(i))}),
    "old NumPy": lambda i: pickle.dumps(batch(i), 2).replace(b"cnumpy._core.", b"cnumpy.core."),
    "NumPy's numbers": lambda i: pickle.dumps({**batch(i), "labels": list(np.array(labels(i)))}),
    "of Python itself": lambda i: pickle._dumps(batch(i), 2),
}


def write(folder, files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)


def load_small(folder, download=False):
    return cifar10.load_folder(folder, download, batch_size=COUNT, num_valid=NUM_VALID)


def message_of(call, *args, **kwargs):
    with pytest.raises(data.DataError) as caught:
        call(*args, **kwargs)
    message = str(caught.value)
    assert "\n" not in message and len(message) < 500
    return message


def refusal(content):
    """What is said of a batch with this content, which must name the file."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "data_batch_1"
        file.write_bytes(content if isinstance(content, bytes) else pickle.dumps(content))
        message = message_of(cifar10.read_batch, file, COUNT)
        assert message.startswith(f"{file}: expected ")
        assert message.endswith("delete it, and it will be downloaded again")
        return message.removeprefix(f"{file}: ")


# The form in memory


@pytest.mark.parametrize("form", FORMS)
def test_every_form_loads_alike(tmp_path, form):
    write(tmp_path / "cifar-10-batches-py", {name: FORMS[form](i) for i, name in enumerate(NAMES)})
    dataset = load_small(tmp_path)
    assert (dataset.name, dataset.num_classes, dataset.input_shape) == ("cifar10", 10, (3, 32, 32))
    splits = dataset.train, dataset.valid, dataset.test
    assert [len(s) for s in splits] == [5 * COUNT - NUM_VALID, NUM_VALID, COUNT]
    assert [n for s in splits for n in s.labels] == [n for i in range(6) for n in labels(i)]
    places = [
        (dataset.train, 0, 0, 0),
        (dataset.train, 45, 2, 5),
        (dataset.valid, 0, 4, 13),
        (dataset.test, 9, 5, 9),
    ]
    for split, row, i, k in places:
        assert (split.images.dtype, split.images.bytes.dtype, split.labels.dtype) == ("f4", "u1", "i4")
        for c, y, x in ((0, 0, 0), (0, 0, 31), (1, 5, 2), (2, 31, 31)):
            pixel = int(pixels(i)[k, c * 1024 + y * 32 + x])
            assert split.images.bytes[row, c, y, x] == pixel
            assert split.images[[row]][0, c, y, x] == round((pixel / 127.5 - 1) * 127) / 128


def test_classes_have_their_names(tmp_path):
    write(tmp_path / "cifar-10-batches-py", {name: pickle.dumps(batch(i)) for i, name in enumerate(NAMES)})
    names = "airplane automobile bird cat deer dog frog horse ship truck"
    assert load_small(tmp_path).class_names == tuple(names.split())


def test_load_looks_under_path_and_requires_the_full_counts(tmp_path):
    folder = tmp_path / "cifar10" / "cifar-10-batches-py"
    write(folder, {name: pickle.dumps(batch(i)) for i, name in enumerate(NAMES)})
    message = message_of(data.load, "cifar10", path=tmp_path, download=False)
    assert f"{folder / 'data_batch_1'}: expected uint8 'data' of shape (10000, 3072)" in message


# Pickles that would run something


class Call:
    def __init__(self, function, *args):
        self.reduced = function, args

    def __reduce__(self):
        return self.reduced


def hostile(mark):
    """Calls that would make the file ``mark``, by way of what a pickle may and may not name."""
    command = f"open({str(mark)!r}, 'w')"
    return {
        "posix.system": Call(os.system, f"touch {mark}"),
        "builtins.eval": Call(eval, command),
        "builtins.exec": Call(exec, command),
        "builtins.open": Call(open, str(mark), "w"),
        "subprocess.Popen": Call(subprocess.Popen, ["touch", str(mark)]),
        "numpy.fromfile": Call(np.fromfile, str(mark)),
        "numpy.load": Call(np.load, str(mark)),
        "builtins.getattr": Call(getattr, "text", "upper"),
        "builtins.bytearray": Call(bytearray, 10),
    }


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize("named", hostile(""))
def test_a_pickle_that_calls_is_refused_and_nothing_is_called(tmp_path, named, protocol):
    mark = tmp_path / "mark"
    call = hostile(mark)[named]
    for content in (call, {**batch(0), "more": call}, {**batch(0), "data": call}):
        message = refusal(pickle.dumps(content, protocol))
        assert "expected a pickle of arrays, lists, text and numbers, found " in message
    assert not mark.exists()
    assert named.rpartition(".")[2] in refusal(pickle.dumps(call, protocol))


@pytest.mark.parametrize(
    "name", ["ndarray.tofile", "dtype.__class__", "core.multiarray._reconstruct.__call__"]
)
def test_a_way_through_an_allowed_name_is_refused(name):
    assert f"numpy.{name}" in refusal(
        b"\x80\x04\x8c\x05numpy\x8c" + bytes([len(name)]) + name.encode() + b"\x93."
    )


def test_allowed_names_cannot_be_misused(tmp_path):
    assert "dtype O" in refusal({**batch(0), "data": np.array([None] * 3)})
    assert "dtype V" in refusal({**batch(0), "data": np.zeros(3, [("a", "u1"), ("b", "O")])})
    assert "found float64" in refusal({**batch(0), "data": np.zeros((COUNT, 3072))})
    assert "'data', found bytes" not in refusal(b"c_codecs\nencode\n(Vabc\nVrot13\ntR.")
    assert "rot13" in refusal(b"c_codecs\nencode\n(Vabc\nVrot13\ntR.")
    assert "unknown kind" in refusal(b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\ndtype\n(I0\ntS'b'\ntR.")
    # An array of that many bytes would take all memory.
    refusal(b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I1099511627776\ntS'b'\ntR.")
    refusal(b"cnumpy\nndarray\n((I1099511627776\nttR.")


@pytest.mark.parametrize(
    "name", ["numpy\nndarray", "numpy\ndtype", "_codecs\nencode", "numpy.core.multiarray\nscalar"]
)
@pytest.mark.parametrize("state", [b"}S'made'\nNs", b"N}S'__call__'\nNs\x86", b"N}S'__class__'\nNs\x86"])
def test_allowed_names_cannot_be_changed(tmp_path, name, state):
    refusal(b"c" + name.encode() + b"\n" + state + b"b.")
    write(tmp_path, {"data_batch_1": pickle.dumps(batch(0), 2)})
    np.testing.assert_array_equal(cifar10.read_batch(tmp_path / "data_batch_1", COUNT)[1], labels(0))


def test_registered_extensions_are_refused(tmp_path):
    copyreg.add_extension("os", "getcwd", 1)
    try:
        assert "os.getcwd" in refusal(b"\x80\x02\x82\x01)R.")
    finally:
        copyreg.remove_extension("os", "getcwd", 1)


# Files that are not what they should be

FAULTS = {
    "no data": (lambda b: b.pop("data"), "the key 'data', found only 'batch_label', 'filenames', 'labels'"),
    "no labels": (lambda b: b.pop("labels"), "the key 'labels', found only"),
    "data in a list": (lambda b: b.update(data=[1]), "an array for 'data', found list"),
    "signed data": (
        lambda b: b.update(data=b["data"].astype(np.int8)),
        f"found int8 of shape ({COUNT}, 3072)",
    ),
    "images in pictures": (lambda b: b.update(data=b["data"].reshape(COUNT, 3, 32, 32)), "(20, 3, 32, 32)"),
    "fewer images": (lambda b: b.update(data=b["data"][1:]), "(19, 3072)"),
    "more images": (lambda b: b.update(data=np.repeat(b["data"], 2, axis=0)), "(40, 3072)"),
    "fewer labels": (lambda b: b["labels"].pop(), "20 labels, found 19"),
    "more labels": (lambda b: b["labels"].append(0), "20 labels, found 21"),
    "labels in an array": (lambda b: b.update(labels=np.array(b["labels"])), "'labels', found ndarray"),
    "labels in text": (lambda b: b.update(labels="0" * 20), "'labels', found str"),
    "a label in text": (lambda b: b["labels"].__setitem__(3, "7"), "'labels', found one with str"),
    "a real label": (lambda b: b["labels"].__setitem__(3, 7.0), "'labels', found one with float"),
    "a truth value": (lambda b: b["labels"].__setitem__(3, True), "'labels', found one with bool"),
    "a label of 10": (lambda b: b["labels"].__setitem__(3, 10), "labels from 0 to 9, found 10"),
    "a label of -1": (lambda b: b["labels"].__setitem__(3, -1), "labels from 0 to 9, found -1"),
    "a huge label": (lambda b: b["labels"].__setitem__(3, 10**60), "labels from 0 to 9, found 1000"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_reported(fault):
    change, found = FAULTS[fault]
    content = batch(0)
    change(content)
    assert found in refusal(content)
    assert found in refusal(as_bytes(content)) or "text" in fault


def test_no_pickle_is_reported():
    for content in (b"", b"<html>404 not found</html>", b"\x1f\x8b\x08\0", bytes(100)):
        assert "a whole pickle, found a damaged one" in refusal(content)
    for content in ([], 3, None, "text"):
        assert "a whole pickle, found a damaged one" in refusal(content)
    assert "found more behind it" in refusal(pickle.dumps(batch(0)) + b"x")


@pytest.mark.parametrize("form", ["Python 2", "str, protocol 2", "bytes, protocol 5"])
@settings(max_examples=examples(40))
@given(share=st.floats(0, 1, exclude_max=True))
def test_every_truncation_is_refused(form, share):
    content = FORMS[form](0)
    refusal(content[: int(len(content) * share)])


@pytest.mark.parametrize("form", ["Python 2", "str, protocol 2", "bytes, protocol 5"])
@settings(max_examples=examples(150))
@given(place=st.integers(0, 600), from_end=st.booleans(), flip=st.integers(1, 255))
def test_damage_is_reported_or_harmless(form, place, from_end, flip):
    content = bytearray(FORMS[form](0))
    content[-1 - place if from_end else place] ^= flip
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "data_batch_1"
        file.write_bytes(content)
        try:
            images, found = cifar10.read_batch(file, COUNT)
        except data.DataError as error:
            assert str(error).startswith(f"{file}: expected ") and "\n" not in str(error)
        else:
            assert images.shape == (COUNT, 3, 32, 32) and 0 <= found.min() and found.max() <= 9


def test_a_file_that_cannot_be_opened_is_reported(tmp_path):
    (tmp_path / "folder").mkdir()
    assert "cannot be read (Is a directory)" in message_of(cifar10.read_batch, tmp_path / "folder")


# The archive


def archive(files, links=()):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
        for name, target in links:
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, target
            tar.addfile(member)
    return stream.getvalue()


def members():
    return {f"cifar-10-batches-py/{name}": python2(pixels(i), labels(i)) for i, name in enumerate(NAMES)}


@pytest.fixture
def put(tmp_path, monkeypatch):
    """Put an archive where the published one belongs, its checksum in the published one's place."""

    def put(content, folder=tmp_path / "cifar10"):
        write(folder, {"cifar-10-python.tar.gz": content})
        monkeypatch.setattr(cifar10, "ARCHIVE_MD5", hashlib.md5(content).hexdigest())
        return folder

    return put


def test_only_missing_batches_are_taken_from_the_archive_and_nothing_else(put, tmp_path):
    folder = put(archive({**members(), "cifar-10-batches-py/readme.html": b"x", "more": b"x"}))
    write(folder / "cifar-10-batches-py", {"test_batch": pickle.dumps(batch(8))})
    assert list(load_small(folder).test.labels) == labels(8)
    assert sorted(file.name for file in (folder / "cifar-10-batches-py").iterdir()) == NAMES
    assert sorted(file.name for file in tmp_path.rglob("*") if file.name not in NAMES) == [
        "cifar-10-batches-py",
        "cifar-10-python.tar.gz",
        "cifar10",
    ]


@pytest.mark.parametrize("trick", ["up", "absolute", "link", "huge"])
def test_members_of_another_kind_are_left_in_the_archive(put, tmp_path, trick):
    files, links = members(), []
    content = files.pop("cifar-10-batches-py/data_batch_3")
    if trick == "up":
        files["cifar-10-batches-py/../../data_batch_3"] = content
    elif trick == "absolute":
        files[f"{tmp_path}/data_batch_3"] = content
    elif trick == "link":
        (tmp_path / "secret").write_bytes(content)
        links = [("cifar-10-batches-py/data_batch_3", str(tmp_path / "secret"))]
    else:
        files["cifar-10-batches-py/data_batch_3"] = bytes(cifar10.LARGEST_MEMBER + 1)
    folder = put(archive(files, links))
    message = message_of(load_small, folder)
    assert "cifar-10-python.tar.gz: expected the file cifar-10-batches-py/data_batch_3, found none" in message
    assert not list(tmp_path.rglob("data_batch_3"))


def test_a_wrong_archive_is_not_opened(put):
    folder = put(archive(members()))
    (folder / "cifar-10-python.tar.gz").write_bytes(archive({"a": b""}))
    message = message_of(load_small, folder)
    assert message.startswith(f"{folder / 'cifar-10-python.tar.gz'}: expected MD5 ")
    assert not (folder / "cifar-10-batches-py").exists()


def test_a_damaged_archive_leaves_no_half_of_a_file(put):
    whole = archive(members())
    for content in (whole[: len(whole) // 2], whole[:-100], b"no archive"):
        folder = put(content)
        assert "a whole tar.gz archive, found a damaged one" in message_of(load_small, folder)
        for file in (folder / "cifar-10-batches-py").iterdir():
            assert file.read_bytes() == members()[f"cifar-10-batches-py/{file.name}"]
            file.unlink()


def test_missing_batches_are_downloaded(put, server, tmp_path, monkeypatch):
    served, address, requested = server
    put(archive(members()), served)
    monkeypatch.setattr(cifar10, "MIRRORS", (f"{address}absent/", address))
    assert list(load_small(tmp_path / "new", download=True).train.labels[:COUNT]) == labels(0)
    assert requested == ["/absent/cifar-10-python.tar.gz", "/cifar-10-python.tar.gz"]
    load_small(tmp_path / "new", download=True)
    assert len(requested) == 2


def test_missing_batches_without_download_are_reported(tmp_path):
    message = message_of(load_small, tmp_path / "cifar10")
    assert "cifar-10-python.tar.gz: not found, and downloading is off" in message
    assert f"put cifar-10-python.tar.gz in {tmp_path / 'cifar10'}" in message and "DIR/cifar10" in message
    assert not (tmp_path / "cifar10").exists()


# The real files, or a copy of them


@pytest.fixture(scope="module")
def real():
    path = Path(os.environ.get("PYLEARN2_DATA_PATH", ""))
    if not os.environ.get("PYLEARN2_DATA_PATH") or not (path / "cifar10" / "cifar-10-batches-py").is_dir():
        pytest.skip("PYLEARN2_DATA_PATH names no folder with cifar10/cifar-10-batches-py/ in it")
    return data.load("cifar10", path=path, download=False)


def test_real_files_have_the_published_counts(real):
    splits = real.train, real.valid, real.test
    assert [len(s) for s in splits] == [45000, 5000, 10000]
    assert list(np.bincount(real.test.labels)) == [1000] * 10
    assert list(np.bincount(np.concatenate([real.train.labels, real.valid.labels]))) == [5000] * 10


def test_real_images_are_upright_photographs_in_color(real):
    pixels = real.train.images.bytes
    # Means of red, green and blue over the training images, as everyone normalizes with.
    means = pixels.mean(axis=(0, 2, 3), dtype=np.float64)
    np.testing.assert_allclose(means, [125.3, 123.0, 113.9], atol=1)
    # Neighbours are alike along both axes, which a wrong order of axes would not show.
    sample = pixels[:500].astype(np.float64)
    for axis in (2, 3):
        assert np.abs(np.diff(sample, axis=axis)).mean() < 20
    airplane, ship = (pixels[real.train.labels == k].mean(axis=(0, 3)) for k in (0, 8))
    assert airplane[2, :8].mean() > airplane[2, 24:].mean()  # the sky is above
    assert ship[2, :8].mean() > ship[2, 24:].mean()
