"""Whole pictures of any size are read as they are, made grey or coloured, or refused by a sentence with their name."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from taut.data.images import load_images
from taut.errors import UsageError, UserError

SIZES = [(13, 40), (21, 11), (64, 12)]


def write(folder: Path, sizes: list[tuple[int, int]], *, colours: bool, seed: int = 0) -> list[np.ndarray]:
    folder.mkdir(parents=True)
    generator = np.random.default_rng(seed)
    pixels = [generator.integers(0, 256, (*size, 3) if colours else size, dtype=np.uint8) for size in sizes]
    for index, picture in enumerate(pixels):
        Image.fromarray(picture).save(folder / f"{index}.png")
    return pixels


@pytest.mark.parametrize("nested", [True, False])
def test_grey_pictures_of_odd_sizes_are_as_they_were(tmp_path: Path, nested: bool) -> None:
    folder = tmp_path / "image-sets" if nested else tmp_path
    train, test = write(folder / "train", SIZES, colours=False), write(folder / "test", SIZES[:2], colours=False)
    sets = load_images("image-sets", tmp_path)
    for found, pixels in ((sets.train, train), (sets.tests["test"], test)):
        assert len(found) == len(pixels)
        for mine, picture in zip(found.pixels, pixels, strict=True):
            assert np.array_equal(mine.numpy(), picture[None])
    assert torch.equal(sets.train.picture(1), torch.from_numpy(train[1][None] / np.float32(255)))
    coloured = load_images("image-sets", tmp_path, channels=3)
    assert all(torch.equal(mine, mine[:1].expand(3, -1, -1)) for mine in coloured.train.pixels)
    assert sets.fingerprint() != coloured.fingerprint()


def test_colours_are_kept_or_become_the_grey_that_pillow_makes_of_them(tmp_path: Path) -> None:
    write(tmp_path / "test", SIZES[:1], colours=True)
    pixels = write(tmp_path / "train", SIZES, colours=True, seed=1)
    kept, grey = (load_images("image-sets", tmp_path, channels=channels).train.pixels for channels in (3, 1))
    for mine, flat, picture in zip(kept, grey, pixels, strict=True):
        assert np.array_equal(mine.numpy(), picture.transpose(2, 0, 1))
        expected = np.array(Image.fromarray(picture).convert("L"), dtype=int)
        assert np.abs(flat[0].numpy().astype(int) - expected).max() <= 1  # Pillow rounds its weights


@pytest.mark.parametrize(
    ("odd", "sentence"),
    [
        (Image.fromarray(np.zeros((16, 16), dtype=np.uint16)), "eight bits a channel, but its mode is I;16"),
        (Image.new("RGBA", (16, 16)), "its mode is RGBA"),
        (Image.new("LA", (16, 16)), "its mode is LA"),
        (Image.new("L", (40, 10)), "is 40x10; pictures must have at least 11 pixels on each side"),
        (None, "is not a picture, or is damaged"),
    ],
)
def test_what_cannot_be_used_is_named(tmp_path: Path, odd: Image.Image | None, sentence: str) -> None:
    write(tmp_path / "train", SIZES, colours=False)
    write(tmp_path / "test", SIZES, colours=False)
    path = tmp_path / "test" / "odd.png"
    if odd is None:
        path.write_bytes(b"no picture")
    else:
        odd.save(path)
    with pytest.raises(UserError, match=f"{re.escape(str(path))}.*{sentence}"):
        load_images("image-sets", tmp_path)


@pytest.mark.parametrize("root", [".", "bsd"])
def test_bsd_is_found_from_its_folder_and_from_the_one_above(tmp_path: Path, root: str) -> None:
    for name, count in (("train400", 3), ("bsd68", 2), ("set12", 1)):
        write(tmp_path / "bsd" / name, SIZES[:count], colours=False)
    sets = load_images("bsd", tmp_path / root)
    assert (len(sets.train), {name: len(found) for name, found in sets.tests.items()}) == (3, {"bsd68": 2, "set12": 1})
    with pytest.raises(UsageError, match="grey pictures alone"):
        load_images("bsd", tmp_path, channels=3)


@pytest.mark.parametrize("name", ["bsd", "image-sets"])
def test_without_its_folder_a_set_says_what_it_needs(tmp_path: Path, monkeypatch, name: str) -> None:
    monkeypatch.delenv("TAUT_DATA_ROOT", raising=False)
    with pytest.raises(UserError, match=f"{name} is read from files: give --data-root DIR"):
        load_images(name)
    with pytest.raises(UserError, match=f"{name} is not there: neither .* nor .* has folders"):
        load_images(name, tmp_path)
    (tmp_path / "train").mkdir()
    (tmp_path / "test").mkdir()
    with pytest.raises(UserError, match="train has no pictures"):
        load_images("image-sets", tmp_path)


def test_photographs_need_no_download_and_are_held_out_as_a_whole(monkeypatch) -> None:
    import socket

    def refuse(*_: object) -> None:
        raise AssertionError("asked for the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    sets = load_images("photographs", channels=3)
    held_out = sets.tests["photographs"]
    assert not set(held_out.titles) & set(sets.train.titles)
    assert all(
        pixels.shape[0] == 3 and max(pixels.shape[1:]) <= 512 for pixels in (*sets.train.pixels, *held_out.pixels)
    )


def test_unknown_sets_and_channels_are_refused() -> None:
    with pytest.raises(UsageError, match="unknown set of pictures 'bsds'; known are bsd, photographs, image-sets"):
        load_images("bsds")
    with pytest.raises(UsageError, match="channels must be 1"):
        load_images("photographs", channels=4)
