"""LSUN's bedrooms, or any pictures without labels: cropped and resized to 64x64 while they are read."""

from pathlib import Path

import torch

from taut.data.dataset import Dataset, Problem, Split
from taut.data.forms import needed_root
from taut.data.pictures import SUFFIXES, decode, picture_files
from taut.errors import UserError

LSUN_BEDROOM = Problem(shape=(3, 64, 64), classes=("bedroom",))
TRAIN_LIMIT = 60_000
TEST_LIMIT = 10_000

_NAME = "lsun-bedroom"
_LAYOUT = "it is a folder of pictures, exported from the lmdb files at https://www.yf.io/p/lsun"
_HELD_OUT = ("test", "val", "validation")
_EVERY = 10


def load_lsun_bedroom(data_root: Path | None) -> Dataset:
    """Pictures in colour below `data_root`, at any depth: the centre square of each, resized to 64x64; one class.

    Held out are the folder `test` or `val` beside `train`, or else every tenth picture. Of more than 60,000 training or
    10,000 held-out pictures, as many are taken, evenly spread over the sorted names: the whole of LSUN would fill
    150 GB. One picture at a time is decoded.

    Raises:
        UserError: There is no picture to hold out (fewer than ten in all), or one is damaged.
    """
    train, test = _names(_find(data_root))
    return Dataset(
        train=_split(spread(train, TRAIN_LIMIT)),
        test=_split(spread(test, TEST_LIMIT)),
        name=_NAME,
        problem=LSUN_BEDROOM,
    )


def spread(files: list[Path], limit: int) -> list[Path]:
    """At most `limit` of `files`, evenly spread.

    Example:
        >>> [path.name for path in spread([Path(name) for name in "abcdefg"], 3)]
        ['a', 'c', 'e']
    """
    count = min(limit, len(files))
    return [files[index * len(files) // count] for index in range(count)]


def _find(data_root: Path | None) -> Path:
    root = needed_root(_NAME, data_root, _LAYOUT)
    if (root / _NAME).is_dir():
        return root / _NAME
    # Only a folder that is plainly one of pictures: the root may hold other data sets, which would all become bedrooms.
    if root.is_dir() and ((root / "train").is_dir() or any(path.suffix.lower() in SUFFIXES for path in root.iterdir())):
        return root
    raise UserError(
        f"{_NAME} is not there: {root / _NAME} is no folder, and {root} holds neither pictures nor the folder train; "
        f"{_LAYOUT}"
    )


def _names(folder: Path) -> tuple[list[Path], list[Path]]:
    held_out = next((folder / name for name in _HELD_OUT if (folder / name).is_dir()), None)
    if held_out is not None and (folder / "train").is_dir():
        train, test = picture_files(folder / "train"), picture_files(held_out)
    else:
        files = picture_files(folder)
        train, test = [file for row, file in enumerate(files) if (row + 1) % _EVERY], files[_EVERY - 1 :: _EVERY]
    if not train or not test:
        raise UserError(f"{folder} must hold pictures to train on and to hold out, but it has {len(train) + len(test)}")
    return train, test


def _split(files: list[Path]) -> Split:
    pixels = torch.empty(len(files), *LSUN_BEDROOM.shape, dtype=torch.uint8)
    for row, path in enumerate(files):
        pixels[row] = decode(path, str(path), channels=3, square=LSUN_BEDROOM.shape[1])
    return Split(inputs=pixels, labels=torch.zeros(len(files), dtype=torch.int64))
