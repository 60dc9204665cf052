"""Folders, downloads and checks of whole datasets, small ones from a server on this machine."""

import gzip
import hashlib
import io
import pickle
import tarfile

import numpy as np
import pytest
import scipy.io

from xnornet import data
from xnornet.data import cifar10, mnist, svhn

MNIST_NAMES = [
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
]


def md5(content):
    return hashlib.md5(content).hexdigest()


def idx(array):
    shape = b"".join(n.to_bytes(4, "big") for n in array.shape)
    return bytes([0, 0, 8, array.ndim]) + shape + array.tobytes()


def mnist_files():
    rng = np.random.default_rng(0)
    labels = {"train": np.arange(30) % 10, "t10k": np.arange(20) // 2}
    files = {}
    for prefix, of in labels.items():
        files[f"{prefix}-images-idx3-ubyte"] = idx(rng.integers(0, 256, (len(of), 28, 28)).astype(np.uint8))
        files[f"{prefix}-labels-idx1-ubyte"] = idx(of.astype(np.uint8))
    return files


def cifar_files():
    names = [*cifar10.TRAIN_BATCHES, cifar10.TEST_BATCH]
    pixels = np.random.default_rng(0).integers(0, 256, (6, 20, 3072)).astype(np.uint8)
    batches = {
        name: pickle.dumps({"data": of, "labels": list(range(10)) * 2})
        for name, of in zip(names, pixels, strict=True)
    }
    return {**batches, "batches.meta": b"meta"}


def svhn_files():
    files = {}
    for seed, name in enumerate(["train_32x32.mat", "test_32x32.mat", "extra_32x32.mat"]):
        pixels = np.random.default_rng(seed).integers(0, 256, (32, 32, 3, 40)).astype(np.uint8)
        stream = io.BytesIO()
        scipy.io.savemat(stream, {"X": pixels, "y": (np.arange(40) % 10 + 1)[:, None]}, do_compression=True)
        files[name] = stream.getvalue()
    return files


@pytest.fixture
def published(server, monkeypatch):
    """Serve small files in place of the published ones; what they are, by name in the dataset's folder."""
    served, address, _ = server
    served.mkdir()
    small_mnist, small_cifar, small_svhn = mnist_files(), cifar_files(), svhn_files()
    packed = {f"{name}.gz": gzip.compress(content) for name, content in small_mnist.items()}
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        for name, content in small_cifar.items():
            member = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    for name, content in {**packed, **small_svhn, cifar10.ARCHIVE: archive.getvalue()}.items():
        (served / name).write_bytes(content)
    for module in (mnist, cifar10, svhn):
        monkeypatch.setattr(module, "MIRRORS", (address,))
    monkeypatch.setattr(mnist, "CHECKSUMS", {name: md5(content) for name, content in packed.items()})
    monkeypatch.setattr(mnist, "UNPACKED_CHECKSUMS", {name: md5(of) for name, of in small_mnist.items()})
    monkeypatch.setattr(cifar10, "ARCHIVE_MD5", md5(archive.getvalue()))
    monkeypatch.setattr(cifar10, "CHECKSUMS", {name: md5(of) for name, of in small_cifar.items()})
    monkeypatch.setattr(svhn, "CHECKSUMS", {name: md5(of) for name, of in small_svhn.items()})
    sizes = {mnist: {"counts": (20, 10, 20)}, cifar10: {"batch_size": 20, "num_valid": 10}}
    for module, options in {**sizes, svhn: {"valid_counts": (1, 2)}}.items():
        load_folder = module.load_folder
        monkeypatch.setattr(module, "load_folder", lambda *a, f=load_folder, o=options, **k: f(*a, **k, **o))
    return {
        "mnist": packed,
        "cifar10": {f"cifar-10-batches-py/{name}": content for name, content in small_cifar.items()},
        "svhn": small_svhn,
    }


HOMES = {"mnist": "mnist", "cifar10": "cifar10", "svhn": "SVHN/format2"}


def contents(folder):
    """Files of a folder, but for what a download locks."""
    files = [f for f in folder.rglob("*") if f.is_file() and f.suffix != ".lock"]
    return {str(f.relative_to(folder)): f.read_bytes() for f in files}


@pytest.mark.parametrize("name", HOMES)
def test_folders_are_pylearn2s(name, tmp_path, monkeypatch):
    assert data.folder_of(name, tmp_path) == tmp_path / HOMES[name]
    monkeypatch.setenv("PYLEARN2_DATA_PATH", str(tmp_path))
    assert data.folder_of(name) == tmp_path / HOMES[name]


@pytest.mark.parametrize("call", [data.folder_of, data.download, data.check])
@pytest.mark.parametrize("name", ["digits", "imagenet"])
def test_datasets_without_files_are_refused(call, name, tmp_path):
    with pytest.raises(data.DataError, match=f"^'{name}' is not .*; choose one of mnist, cifar10, svhn$"):
        call(name, tmp_path)


@pytest.mark.parametrize("name", HOMES)
def test_every_file_is_downloaded_once_and_is_the_published_one(published, server, tmp_path, name):
    lines = []
    folder = data.download(name, tmp_path, lines.append)
    assert folder == tmp_path / HOMES[name]
    found = contents(folder)
    found.pop("cifar-10-python.tar.gz", None)
    # Bytes that differ would be printed for minutes.
    assert found.keys() == published[name].keys()
    assert [f for f in found if found[f] != published[name][f]] == []
    asked = list(server[2])
    data.download(name, tmp_path, lines.append)
    assert server[2] == asked
    report = data.check(name, tmp_path)
    assert report and report.published and report.problem == ""
    assert str(report).endswith("\nthese are the published files")
    assert contents(folder).keys() - {"cifar-10-python.tar.gz"} == published[name].keys()


def test_the_size_of_the_large_file_is_reported_before_the_download(published, server, tmp_path):
    reported = []
    data.download("svhn", tmp_path, lambda line: reported.append((line, len(server[2]))))
    assert reported[0] == ("extra_32x32.mat, 1.3 GB, comes last; training takes it if it is there", 0)
    assert server[2][-1] == "/extra_32x32.mat"
    reported.clear()
    data.download("svhn", tmp_path, lambda line: reported.append(line))
    assert reported == [f"svhn: every file is in {tmp_path / 'SVHN/format2'}"]


def test_the_report_lists_files_and_counts(published, tmp_path):
    folder = data.download("svhn", tmp_path, str)
    lines = str(data.check("svhn", tmp_path)).split("\n")
    assert lines[0] == f"svhn in {folder}"
    for line, (name, content) in zip(lines[2:5], published["svhn"].items(), strict=True):
        assert line.split() == [name, f"{len(content):,}", "published"]
    assert [line.split() for line in lines[6:10]] == [
        ["images", *"0123456789"],
        ["train", "50", *["5"] * 10],
        ["valid", "30", *["3"] * 10],
        ["test", "40", *["4"] * 10],
    ]
    assert len({len(line) for line in lines[6:10]}) == 1


def test_classes_are_named_in_the_report(published, tmp_path):
    data.download("cifar10", tmp_path, str)
    table = str(data.check("cifar10", tmp_path)).split("\n")[10:14]
    assert table[0].split() == ["images", *data.load("cifar10", tmp_path).class_names]
    assert [line.split()[:3] for line in table[1:]] == [
        ["train", "90", "9"],
        ["valid", "10", "1"],
        ["test", "20", "2"],
    ]


def test_the_optional_file_may_be_missing(published, tmp_path):
    folder = data.download("svhn", tmp_path, str)
    (folder / "extra_32x32.mat").unlink()
    report = data.check("svhn", tmp_path)
    assert report and "missing (optional)" in str(report)


def test_a_copy_with_other_bytes_loads_and_is_reported(published, tmp_path):
    folder = data.download("cifar10", tmp_path, str)
    file = folder / "cifar-10-batches-py" / "data_batch_2"
    file.write_bytes(pickle.dumps(pickle.loads(file.read_bytes()), 2))
    report = data.check("cifar10", tmp_path)
    assert not report and report.dataset is not None
    assert [f.name for f, (_, state) in report.files.items() if state != "published"] == ["data_batch_2"]
    assert "data_batch_2" in str(report) and "differs from the published file" in str(report)
    assert "these are not the published files" in str(report).split("\n")[-1]


@pytest.fixture
def shuffled(published, tmp_path, monkeypatch):
    """A folder of CIFAR-10 whose digests are known, and whose images were put into another order since."""
    folder = data.download("cifar10", tmp_path, str) / "cifar-10-batches-py"
    dataset = data.check("cifar10", tmp_path).dataset
    digests = cifar10.digest(dataset.train, dataset.valid), cifar10.digest(dataset.test)
    monkeypatch.setattr(cifar10, "DIGESTS", digests)
    rows = {name: pickle.loads((folder / name).read_bytes()) for name in cifar10.TRAIN_BATCHES}
    pixels = np.concatenate([of["data"] for of in rows.values()])
    labels = np.concatenate([of["labels"] for of in rows.values()])
    order = np.random.default_rng(1).permutation(len(labels))
    for name, chosen in zip(rows, np.split(order, len(rows)), strict=True):
        batch = {"data": pixels[chosen], "labels": labels[chosen].tolist()}
        (folder / name).write_bytes(pickle.dumps(batch, 2))
    return folder


def test_published_images_are_recognised_in_another_order(shuffled, tmp_path):
    report = data.check("cifar10", tmp_path)
    assert report and report.same_images and not report.published
    assert "differs from the published file" in str(report)
    assert str(report).split("\n")[-1].startswith("these are the published images and labels, in other files")


@pytest.mark.parametrize("what", ["data", "labels"])
@pytest.mark.parametrize("name", ["data_batch_3", "test_batch"])
def test_one_other_pixel_or_label_is_noticed(shuffled, tmp_path, name, what):
    batch = pickle.loads((shuffled / name).read_bytes())
    if what == "data":
        batch["data"][5, 7] ^= 1
    else:
        batch["labels"][5] = (batch["labels"][5] + 1) % 10
    (shuffled / name).write_bytes(pickle.dumps(batch, 2))
    report = data.check("cifar10", tmp_path)
    assert not report and report.dataset is not None
    assert "these are not the published files" in str(report).split("\n")[-1]


def test_packing_again_does_not_make_another_file(published, tmp_path):
    folder = data.download("mnist", tmp_path, str)
    name = MNIST_NAMES[0]
    content = gzip.decompress((folder / f"{name}.gz").read_bytes())
    (folder / f"{name}.gz").write_bytes(gzip.compress(content, 1, mtime=5))
    assert data.check("mnist", tmp_path)
    (folder / f"{name}.gz").unlink()
    (folder / name).write_bytes(content)
    assert data.check("mnist", tmp_path)


@pytest.mark.parametrize("name", HOMES)
def test_missing_files_are_reported_and_nothing_is_made(tmp_path, name):
    report = data.check(name, tmp_path)
    assert not report and report.dataset is None
    assert {state for _, state in report.files.values()} == {"missing"}
    last = str(report).split("\n")[-1]
    assert last == f"files are missing: `python -m xnornet data download {name}` gets them"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("damage", [b"", b"damaged"])
@pytest.mark.parametrize("name", HOMES)
def test_damaged_files_are_reported(published, tmp_path, name, damage):
    folder = data.download(name, tmp_path, str)
    damaged = next(iter(published[name]))
    (folder / damaged).write_bytes(damage)
    report = data.check(name, tmp_path)
    assert not report and report.dataset is None
    assert report.files[folder / damaged] == (len(damage), "differs from the published file")
    assert str(report).split("\n")[-1].startswith(f"it cannot be loaded: {folder / damaged}: expected ")
