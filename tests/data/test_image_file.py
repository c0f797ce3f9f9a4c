"""A user's picture is read exactly, whatever kind it is, or refused in one sentence; what is done to it is said."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from taut.data.image_file import MOST_PIXELS, read_image
from taut.errors import UserError

LEVELS = np.random.default_rng(0).integers(0, 256, (5, 7), dtype=np.uint8)
COLOURS = np.random.default_rng(1).integers(0, 256, (5, 7, 3), dtype=np.uint8)
DEEP = np.random.default_rng(2).integers(0, 65536, (5, 7), dtype=np.uint16)
OPACITY = np.random.default_rng(3).integers(0, 255, (5, 7), dtype=np.uint8)


def saved(path: Path, image: Image.Image, **options) -> Path:
    image.save(path, **options)
    return path


def exactly(levels: np.ndarray, largest: float) -> torch.Tensor:
    """(channels, height, width) in [0, 1], correctly rounded to float32."""
    values = (levels.astype(np.float64) / largest).astype(np.float32)
    return torch.from_numpy(values.reshape(*values.shape[:2], -1).transpose(2, 0, 1).copy())


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_header(width: int, height: int) -> bytes:
    """Of sixteen bits a channel in colour."""
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0))


def png_of_16_bit_colour(levels: np.ndarray) -> bytes:
    """Pillow writes none."""
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in levels)
    height, width, _ = levels.shape
    return png_header(width, height) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


KINDS = {
    "grey.png": (lambda: Image.fromarray(LEVELS), exactly(LEVELS, 255), 8, ()),
    "colour.png": (lambda: Image.fromarray(COLOURS), exactly(COLOURS, 255), 8, ()),
    "one-bit.png": (lambda: Image.fromarray(LEVELS > 127), exactly(LEVELS > 127, 1), 8, ()),
    "deep.png": (lambda: Image.fromarray(DEEP), exactly(DEEP, 65535), 16, ()),
    "deep.tif": (lambda: Image.fromarray(DEEP), exactly(DEEP, 65535), 16, ()),
    "big-endian.tif": (lambda: Image.fromarray(DEEP.astype(">u2")), exactly(DEEP, 65535), 16, ()),
    "integers.tif": (lambda: Image.fromarray(DEEP.astype(np.int32)), exactly(DEEP, 65535), 16, ()),
    "float.tif": (lambda: Image.fromarray(DEEP.astype("f4") / 65535), exactly(DEEP.astype("f4") / 65535, 1), 16, ()),
    "palette.gif": (lambda: Image.fromarray(LEVELS), exactly(LEVELS, 255), 8, ()),
    "palette.png": (
        lambda: Image.fromarray(COLOURS).quantize(256, dither=Image.Dither.NONE), exactly(COLOURS, 255), 8, ()
    ),
    "ink.tif": (
        lambda: Image.fromarray(COLOURS).convert("CMYK"), exactly(COLOURS, 255), 8, ("CMYK turned into RGB",)
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_of_picture_has_the_levels_of_its_file(tmp_path, name: str) -> None:
    make, expected, bits, notes = KINDS[name]
    found = read_image(saved(tmp_path / name, make()))
    assert found.pixels.dtype == torch.float32
    torch.testing.assert_close(found.pixels, expected, rtol=0, atol=0)
    assert (found.bits, found.alpha) == (bits, None)
    assert [words for words in notes if not any(note.startswith(words) for note in found.notes)] == []
    assert len(found.notes) == len(notes)


def test_colour_of_sixteen_bits_keeps_its_upper_eight_and_says_so(tmp_path) -> None:
    deep = COLOURS.astype(np.uint16) * 256 + 17
    (tmp_path / "deep.png").write_bytes(png_of_16_bit_colour(deep))
    found = read_image(tmp_path / "deep.png")
    torch.testing.assert_close(found.pixels, exactly(COLOURS, 255), rtol=0, atol=0)
    assert (found.bits, found.notes) == (
        8,
        ("its 16 bits a channel are read as 8, as Pillow does for pictures in colour",),
    )


@pytest.mark.parametrize("levels", [LEVELS, COLOURS], ids=["grey", "colour"])
def test_transparency_is_kept_aside(tmp_path, levels: np.ndarray) -> None:
    path = saved(tmp_path / "a.png", Image.fromarray(np.dstack([levels, OPACITY])))
    found = read_image(path)
    torch.testing.assert_close(found.pixels, exactly(levels, 255), rtol=0, atol=0)
    torch.testing.assert_close(found.alpha, exactly(OPACITY, 255)[0], rtol=0, atol=0)
    assert "transparency" in found.notes[0]
    opaque = saved(tmp_path / "b.png", Image.fromarray(np.dstack([levels, np.full_like(OPACITY, 255)])))
    assert (read_image(opaque).alpha, read_image(opaque).notes) == (None, ())
    key = saved(tmp_path / "c.png", Image.fromarray(LEVELS), transparency=int(LEVELS[2, 3]))
    assert read_image(key).alpha[2, 3] == 0


def test_a_picture_lying_on_its_side_is_turned(tmp_path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise by a quarter
    found = read_image(saved(tmp_path / "a.png", Image.fromarray(LEVELS), exif=exif))
    torch.testing.assert_close(found.pixels, exactly(np.rot90(LEVELS, -1), 255), rtol=0, atol=0)
    assert "EXIF" in found.notes[0]


def test_of_an_animation_the_first_frame_is_read(tmp_path) -> None:
    frames = [Image.fromarray(LEVELS), Image.fromarray(LEVELS.T.reshape(5, 7))]
    found = read_image(saved(tmp_path / "a.gif", frames[0], save_all=True, append_images=frames[1:]))
    torch.testing.assert_close(found.pixels, exactly(LEVELS, 255), rtol=0, atol=0)
    assert found.notes == ("the first of its 2 frames",)


def test_a_crop_is_of_the_upright_picture(tmp_path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    path = saved(tmp_path / "a.png", Image.fromarray(DEEP), exif=exif)
    found = read_image(path, crop=(1, 2, 3, 4))
    torch.testing.assert_close(found.pixels, exactly(np.rot90(DEEP, -1)[2:6, 1:4], 65535), rtol=0, atol=0)
    for crop, words in (((3, 0, 3, 7), "leaves .* which is 5x7"), ((-1, 0, 3, 3), "left, top"), ((0, 0, 0, 3), "left")):
        with pytest.raises(UserError, match=words):
            read_image(path, crop=crop)


def _damaged(path: Path) -> None:
    whole = saved(path, Image.fromarray(np.random.default_rng(4).integers(0, 256, (64, 64), dtype=np.uint8)))
    path.write_bytes(whole.read_bytes()[:2000])


@pytest.mark.parametrize(
    ("name", "make", "words"),
    [
        ("absent.png", lambda path: None, "there is no picture"),
        ("folder.png", lambda path: path.mkdir(), "is a folder: name a picture in it"),
        ("text.png", lambda path: path.write_text("a picture"), "is not a picture, or is damaged"),
        ("empty.png", lambda path: path.touch(), "is not a picture, or is damaged"),
        ("cut.png", _damaged, "is damaged"),
        ("float.tif", lambda path: saved(path, Image.fromarray(np.float32([[0, 200]]))), "from 0 to 200: floating"),
        ("nan.tif", lambda path: saved(path, Image.fromarray(np.float32([[0, np.nan]]))), "levels must lie in"),
        ("wide.tif", lambda path: saved(path, Image.fromarray(np.int32([[0, 70000]]))), "from 0 to 70000: integer"),
        ("huge.png", lambda path: saved(path, Image.new("1", (MOST_PIXELS // 8 + 1, 8))), "--crop LEFT TOP WIDTH"),
        ("bomb.png", lambda path: path.write_bytes(png_header(20000, 20000) + chunk(b"IDAT", b"")), "is too large"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_one_sentence(tmp_path, name: str, make, words: str, recwarn) -> None:
    path = tmp_path / name
    make(path)
    with pytest.raises(UserError, match=words) as raised:
        read_image(path)
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)
    assert not recwarn.list
