"""Files of weights: Lasagne's idiom reads them, and nothing but the right file is accepted."""

import errno
import hashlib
import io
import json
import os
import zipfile

import lasagne
import numpy as np
import pytest

from xnornet.archives import read_array_headers, write_atomically
from xnornet.errors import ModelError
from xnornet.training.weights import load_header, load_weights, save_weights


@pytest.fixture
def network():
    layer = lasagne.layers.InputLayer((None, 3))
    return lasagne.layers.DenseLayer(layer, 2)


@pytest.fixture
def values(network):
    rng = np.random.default_rng(0)
    params = lasagne.layers.get_all_params(network)
    return [rng.normal(size=p.get_value().shape).astype(np.float32) for p in params]


def refused(path, network):
    """The message with which loading is refused, which is one line that names the file."""
    with pytest.raises(ModelError) as caught:
        load_weights(path, lasagne.layers.get_all_params(network))
    message = str(caught.value)
    assert "\n" not in message and str(path) in message
    return message


def test_lasagnes_own_idiom_loads_what_is_saved(tmp_path, network, values):
    save_weights(tmp_path / "m.npz", values)
    with np.load(tmp_path / "m.npz") as file:
        loaded = [file[f"arr_{i}"] for i in range(len(file.files))]
    lasagne.layers.set_all_param_values(network, loaded)
    for value, got in zip(values, lasagne.layers.get_all_param_values(network), strict=True):
        np.testing.assert_array_equal(got, value)


def test_what_is_saved_is_loaded(tmp_path, network, values):
    save_weights(tmp_path / "m.npz", values)
    loaded = load_weights(tmp_path / "m.npz", lasagne.layers.get_all_params(network))
    for value, got in zip(values, loaded, strict=True):
        np.testing.assert_array_equal(got, value)


def test_a_missing_file_is_refused(tmp_path, network):
    assert "not found" in refused(tmp_path / "none.npz", network)


def test_a_folder_is_refused(tmp_path, network):
    assert "folder" in refused(tmp_path, network)


@pytest.mark.parametrize("keep", [0, 10, 200, -30])
def test_a_file_cut_short_is_refused(tmp_path, network, values, keep):
    path = tmp_path / "m.npz"
    save_weights(path, values)
    path.write_bytes(path.read_bytes()[:keep])
    assert "damaged or cut short" in refused(path, network)


def test_an_encrypted_file_is_refused(tmp_path, network, values):
    path = tmp_path / "m.npz"
    with zipfile.ZipFile(path, "w") as archive:
        for i in range(len(values)):
            archive.writestr(f"arr_{i}.npy", "secret")
        for member in archive.infolist():
            member.flag_bits |= 1
    assert "encrypted" in refused(path, network)


@pytest.mark.parametrize("shape", [(3, 1), (3, 3), (3, 2, 2)])
def test_an_array_of_another_size_than_in_its_header_is_refused(tmp_path, network, shape):
    members = []
    for claimed in ((3, 2), (2,)):
        member = io.BytesIO()
        np.lib.format.write_array_header_1_0(
            member, {"shape": claimed, "fortran_order": False, "descr": "<f4"}
        )
        members.append(member)
    members[0].write(np.ones(shape, "float32").tobytes())
    members[1].write(np.ones(2, "float32").tobytes())
    with zipfile.ZipFile(tmp_path / "m.npz", "w") as archive:
        for i, member in enumerate(members):
            archive.writestr(f"arr_{i}.npy", member.getvalue())
    assert "damaged or cut short" in refused(tmp_path / "m.npz", network)


def test_headers_are_read_without_their_arrays(tmp_path):
    np.savez(tmp_path / "m.npz", np.ones((2, 3)), named=np.arange(4, dtype=np.int16))
    with zipfile.ZipFile(tmp_path / "m.npz", "a") as archive:
        archive.writestr("note.txt", "no array")
    assert read_array_headers(tmp_path / "m.npz") == {
        "arr_0": ((2, 3), np.dtype("float64")),
        "named": ((4,), np.dtype("int16")),
        "note.txt": None,
    }


def test_a_file_with_a_changed_byte_is_refused(tmp_path, network, values):
    path = tmp_path / "m.npz"
    save_weights(path, values)
    content = bytearray(path.read_bytes())
    content[content.find(values[0].tobytes())] ^= 1
    path.write_bytes(bytes(content))
    assert "damaged" in refused(path, network)


def test_weights_of_another_size_are_refused(tmp_path, network, values):
    save_weights(tmp_path / "m.npz", [values[0].T, values[1]])
    assert "shape (3, 2); found (2, 3)" in refused(tmp_path / "m.npz", network)


def test_weights_of_another_network_are_refused(tmp_path, network, values):
    save_weights(tmp_path / "m.npz", [*values, values[0]])
    assert "should hold 2 arrays" in refused(tmp_path / "m.npz", network)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_weights_that_are_not_finite_are_refused(tmp_path, network, values, bad):
    values[0][1, 1] = bad
    save_weights(tmp_path / "m.npz", values)
    assert "finite" in refused(tmp_path / "m.npz", network)


def test_weights_that_are_no_real_numbers_are_refused(tmp_path, network, values):
    save_weights(tmp_path / "m.npz", [values[0].astype(np.complex64), values[1]])
    assert "real numbers" in refused(tmp_path / "m.npz", network)


def test_pickled_objects_are_refused_and_never_run(tmp_path, network, values):
    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "ran"),)

    trap = np.full(values[0].shape, Evil(), dtype=object)
    np.savez(tmp_path / "m.npz", trap, values[1])
    assert "pickled objects" in refused(tmp_path / "m.npz", network)
    assert not (tmp_path / "ran").exists()


def test_a_header_that_claims_a_huge_array_takes_no_memory(tmp_path, network, values):
    huge = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        huge, {"shape": (10**7, 10**7), "fortran_order": False, "descr": "<f4"}
    )
    bias = io.BytesIO()
    np.save(bias, values[1])
    with zipfile.ZipFile(tmp_path / "m.npz", "w") as archive:
        archive.writestr("arr_0.npy", huge.getvalue())
        archive.writestr("arr_1.npy", bias.getvalue())
    assert "shape" in refused(tmp_path / "m.npz", network)


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "m.npz"
    path.write_bytes(b"old")

    def disk_full(file):
        file.write(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(ModelError, match="No space left on device"):
        write_atomically(path, disk_full)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["m.npz"]


def test_an_interrupted_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "m.npz"
    path.write_bytes(b"old")

    def interrupted(file):
        file.write(b"half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_atomically(path, interrupted)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["m.npz"]


def test_a_header_is_read_back(tmp_path):
    header = {"network": "mnist_mlp", "arguments": {"num_units": 8}}
    save_weights(tmp_path / "m.npz", [np.zeros(3)], header)
    found = load_header(tmp_path / "m.npz")
    assert json.loads((tmp_path / "m.json").read_text()) == found
    assert found.pop("md5") == hashlib.md5((tmp_path / "m.npz").read_bytes()).hexdigest()
    assert found == header


HEADER = {"network": "mnist_mlp", "arguments": {}}


class Killed(BaseException):
    pass


def save_until(path, value, number, monkeypatch):
    """Save weights and header, and be killed before the file of this number takes its place."""
    replace, renames = os.replace, []

    def killed(source, target):
        renames.append(target)
        if len(renames) == number:
            raise Killed
        replace(source, target)

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr("os.replace", killed)
        save_weights(path, [np.full(3, value)], {**HEADER, "epoch": value})


@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize("before", [True, False], ids=["over old ones", "first"])
def test_a_kill_at_any_rename_leaves_a_pair_or_is_noticed(tmp_path, monkeypatch, number, before):
    path = tmp_path / "m.npz"
    if before:
        save_weights(path, [np.full(3, 1)], {**HEADER, "epoch": 1})
    save_until(path, 2, number, monkeypatch)
    if number == 1 and before:
        assert load_header(path)["epoch"] == 1 == np.load(path)["arr_0"][0]
    elif number == 1:
        assert load_header(path) == {} and not path.exists()
    else:
        with pytest.raises(ModelError) as caught:
            load_header(path)
        assert "\n" not in str(caught.value)
        assert ("--resume" if before else "not found") in str(caught.value)
    save_weights(path, [np.full(3, 2)], {**HEADER, "epoch": 2})
    assert load_header(path)["epoch"] == 2


def test_a_header_that_cannot_be_written_leaves_the_old_pair(tmp_path):
    path = tmp_path / "m.npz"
    save_weights(path, [np.full(3, 1)], HEADER)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    with pytest.raises(TypeError):
        save_weights(path, [np.full(3, 2)], {**HEADER, "of no form in JSON": object()})
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


def test_a_header_without_a_checksum_is_taken_as_it_is(tmp_path):
    save_weights(tmp_path / "m.npz", [np.full(3, 1)])
    (tmp_path / "m.json").write_text(json.dumps(HEADER))
    assert load_header(tmp_path / "m.npz") == HEADER


def test_no_header_is_an_empty_one(tmp_path):
    assert load_header(tmp_path / "m.npz") == {}


@pytest.mark.parametrize("text", ["", "[]", '{"network": 3, "arguments": {}}', '{"network": "a"}', "\x00"])
def test_a_header_of_another_form_is_refused(tmp_path, text):
    (tmp_path / "m.json").write_text(text)
    with pytest.raises(ModelError) as caught:
        load_header(tmp_path / "m.npz")
    assert "\n" not in str(caught.value) and "m.json" in str(caught.value)
