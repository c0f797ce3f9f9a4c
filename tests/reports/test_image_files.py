"""Grids show every pixel where it belongs; PNG and GIF files hold what was given."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from taut.errors import UserError
from taut.reports.image_files import grid, write_gif, write_png

GAP = 2
SHADE = 153


@pytest.mark.parametrize("channels", [1, 3])
def test_each_pixel_is_a_square_in_its_place(channels: int) -> None:
    torch.manual_seed(0)
    images = torch.rand(5, channels, 4, 3)
    shown = np.asarray(grid(images, columns=3, scale=2)).reshape(2 * 10 + GAP, 3 * 8 + GAP, channels)
    expected = np.full_like(shown, SHADE)
    for n, c, y, x in np.ndindex(5, channels, 4, 3):
        top, left = GAP + (n // 3) * 10 + 2 * y, GAP + (n % 3) * 8 + 2 * x
        expected[top : top + 2, left : left + 2, c] = round(255 * float(images[n, c, y, x]))
    assert np.array_equal(shown, expected)


@pytest.mark.parametrize(("side", "scale"), [(8, 7), (28, 2), (32, 2), (64, 1), (200, 1)])
def test_small_pictures_are_enlarged(side: int, scale: int) -> None:
    assert grid(torch.zeros(1, 1, side, side)).size == (side * scale + 2 * GAP, side * scale + 2 * GAP)


def test_a_grid_is_square_or_wider_than_high() -> None:
    assert grid(torch.zeros(10, 1, 2, 2), scale=1).size == (4 * 4 + GAP, 3 * 4 + GAP)


@pytest.mark.parametrize(
    ("images", "options", "reason"),
    [
        (torch.zeros(0, 1, 4, 4), {}, r"1 or 3 channels, got the shape \(0, 1, 4, 4\)"),
        (torch.zeros(1, 2, 4, 4), {}, r"1 or 3 channels, got the shape \(1, 2, 4, 4\)"),
        (torch.full((1, 1, 4, 4), 1.5), {}, r"span \[1.5, 1.5\]"),
        (torch.full((1, 1, 4, 4), -0.5), {}, r"span \[-0.5, -0.5\]"),
        (torch.full((1, 1, 4, 4), float("nan")), {}, r"span \[nan, nan\]"),
        (torch.zeros(1, 1, 4, 4), {"columns": 0}, "got 0 and 14"),
        (torch.zeros(1, 1, 4, 4), {"scale": 0}, "got 1 and 0"),
    ],
)
def test_what_is_no_picture_is_refused(images: torch.Tensor, options: dict, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        grid(images, **options)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_png_holds_the_picture_and_leaves_nothing_beside_it(tmp_path: Path, channels: int) -> None:
    picture = grid(torch.rand(4, channels, 8, 8))
    write_png(tmp_path / "samples" / "000001.png", picture)
    with Image.open(tmp_path / "samples" / "000001.png") as read:
        assert np.array_equal(np.asarray(read), np.asarray(picture))
    assert [file.name for file in (tmp_path / "samples").iterdir()] == ["000001.png"]


def test_an_animation_has_the_frames_and_holds_the_last(tmp_path: Path) -> None:
    torch.manual_seed(0)
    pictures = [grid(torch.rand(4, 1, 8, 8)) for _ in range(3)]
    write_png(tmp_path / "1.png", pictures[1])
    write_gif(
        tmp_path / "a.gif", [pictures[0], tmp_path / "1.png", pictures[2]], seconds_per_frame=0.1, last_seconds=3.0
    )
    with Image.open(tmp_path / "a.gif") as read:
        assert read.n_frames == 3
        assert read.info["loop"] == 0
        for index, time in enumerate((100, 100, 3000)):
            read.seek(index)
            assert read.info["duration"] == time
            assert np.array_equal(np.asarray(read.convert("L")), np.asarray(pictures[index]))


def test_an_animation_in_colour_is_close_to_its_frames(tmp_path: Path) -> None:
    ramp = torch.linspace(0, 1, 64).reshape(1, 1, 8, 8)
    picture = grid(torch.cat((ramp, ramp.flip(3), ramp.flip(2)), 1))
    write_gif(tmp_path / "a.gif", [picture, picture.rotate(180)])
    with Image.open(tmp_path / "a.gif") as read:
        read.seek(1)
        shown = np.asarray(read.convert("RGB")).astype(int)
    assert np.abs(shown - np.asarray(picture.rotate(180)).astype(int)).max() <= 4  # 64 colours fit among 256


@pytest.mark.parametrize(
    ("frames", "seconds", "reason"),
    [
        ([], 0.1, "at least one frame"),
        ([(4, 4), (4, 5)], 0.1, r"one size, got \[\(4, 4\), \(4, 5\)\]"),
        ([(4, 4)], 0.0, "at least 0.02 s, got 0.0"),
    ],
)
def test_what_is_no_animation_is_refused(tmp_path: Path, frames: list, seconds: float, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        write_gif(tmp_path / "a.gif", [Image.new("L", size) for size in frames], seconds_per_frame=seconds)


def test_a_file_that_is_no_picture_is_named(tmp_path: Path) -> None:
    (tmp_path / "cut.png").write_bytes(b"\x89PNG")
    with pytest.raises(UserError, match=r"cut.png is damaged"):
        write_gif(tmp_path / "a.gif", [tmp_path / "cut.png"])
    with pytest.raises(UserError, match=r"cannot read .*absent.png: No such file"):
        write_gif(tmp_path / "a.gif", [tmp_path / "absent.png"])
    assert not (tmp_path / "a.gif").exists()
