"""Pictures of every kind, read as a person sees them."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from xnornet.data.pictures import measure, read_picture
from xnornet.errors import DataError

GRADIENT = np.arange(48, dtype=np.uint8).reshape(6, 8) * 5


def saved(tmp_path, picture, name="a.png", **options):
    picture.save(tmp_path / name, **options)
    return tmp_path / name


@pytest.mark.parametrize("suffix", ["png", "bmp", "pgm", "tif", "gif"])
def test_bytes_of_grey_pictures_stay_as_they_are(tmp_path, suffix):
    file = saved(tmp_path, Image.fromarray(GRADIENT), f"a.{suffix}")
    pixels = read_picture(file, color="grey")
    assert pixels.dtype == np.uint8 and pixels.shape == (1, 6, 8)
    np.testing.assert_array_equal(pixels[0], GRADIENT)
    assert measure(file)[0] == (6, 8)


def test_color_pictures_have_red_green_and_blue_first(tmp_path):
    values = np.random.default_rng(0).integers(0, 256, (5, 4, 3), np.uint8)
    file = saved(tmp_path, Image.fromarray(values))
    np.testing.assert_array_equal(read_picture(file), values.transpose(2, 0, 1))
    assert measure(file) == ((5, 4), "rgb")
    # The weights of ITU-R 601, in which Pillow rounds each product.
    grey = values @ [0.299, 0.587, 0.114]
    assert abs(read_picture(file, color="grey")[0] - grey).max() <= 1


def test_a_grey_picture_has_three_equal_channels_where_color_is_wanted(tmp_path):
    pixels = read_picture(saved(tmp_path, Image.fromarray(GRADIENT)), color="rgb")
    np.testing.assert_array_equal(pixels, np.repeat(GRADIENT[None], 3, axis=0))


def test_a_palette_is_looked_up(tmp_path):
    picture = Image.fromarray(np.array([[0, 1], [2, 1]], np.uint8), "P")
    picture.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    pixels = read_picture(saved(tmp_path, picture))
    np.testing.assert_array_equal(pixels[:, 0, 1], [0, 255, 0])
    np.testing.assert_array_equal(pixels[:, 1, 0], [0, 0, 255])


def test_what_is_transparent_is_white_and_half_of_it_is_half_white(tmp_path):
    values = np.array([[[10, 20, 30, 0], [10, 20, 30, 255], [0, 0, 0, 128]]], np.uint8)
    pixels = read_picture(saved(tmp_path, Image.fromarray(values)))
    assert pixels[:, 0, :2].T.tolist() == [[255, 255, 255], [10, 20, 30]]
    assert abs(pixels[:, 0, 2].astype(int) - (255 - 128)).max() <= 1


def test_sixteen_bits_are_rounded_to_eight(tmp_path):
    values = np.array([[0, 128, 129, 65535, 32768, 257 * 77]], np.uint16)
    file = saved(tmp_path, Image.fromarray(values))
    assert measure(file) == ((1, 6), "grey")
    assert read_picture(file).tolist() == [[[0, 0, 1, 255, 128, 77]]]


def test_orientation_of_a_camera_is_followed(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # A quarter turn to the right is missing.
    file = saved(tmp_path, Image.fromarray(GRADIENT), exif=exif)
    assert measure(file) == ((8, 6), "grey")
    np.testing.assert_array_equal(read_picture(file)[0], np.rot90(GRADIENT, -1))


def test_another_size_is_covered_from_the_middle(tmp_path):
    values = np.zeros((20, 40), np.uint8)
    values[:, 10:30] = 200  # The middle square.
    pixels = read_picture(saved(tmp_path, Image.fromarray(values)), size=(10, 10))
    assert pixels.shape == (1, 10, 10)
    assert (pixels[0, :, 1:-1] == 200).all()


def test_a_picture_cut_short_is_named(tmp_path):
    values = np.random.default_rng(0).integers(0, 256, (50, 50, 3), np.uint8)
    for name in ("a.png", "a.jpg", "a.bmp"):
        file = saved(tmp_path, Image.fromarray(values), name)
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
        with pytest.raises(DataError, match=f"{name}: is damaged or cut short .*; replace it$"):
            read_picture(file)


def test_a_picture_that_claims_a_billion_pixels_is_refused_unread(tmp_path):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 40000, 25000, 8, 2, 0, 0, 0)
    file = tmp_path / "bomb.png"
    file.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")
    )
    for read in (measure, read_picture):
        with pytest.raises(DataError, match="bomb.png: claims more than [0-9,]+ pixels"):
            read(file)


@pytest.mark.parametrize("content", [b"", b"not a picture", b"\x89PNG\r\n\x1a\n"])
def test_what_is_no_picture_is_refused(tmp_path, content):
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(DataError, match="a.png: is "):
        read_picture(tmp_path / "a.png")


def test_a_missing_file_and_a_folder_have_different_errors(tmp_path):
    with pytest.raises(DataError, match="not found"):
        read_picture(tmp_path / "none.png")
    with pytest.raises(DataError, match="is a folder"):
        read_picture(tmp_path)
