"""Labelled pictures that do not fit in memory: class folders or parquet files, decoded as they are needed."""

import os
from dataclasses import dataclass
from pathlib import Path

from taut.data.forms import needed_root
from taut.data.hub import hub_folders
from taut.data.streaming.folder import FolderSource, class_folders, split_folders
from taut.data.streaming.loader import centre_batches, decoded_batches
from taut.data.streaming.pictures import CENTRE, Decoded, DecodedBatch, Key
from taut.data.streaming.shards import ShardSource, split_files
from taut.data.streaming.source import PictureSource
from taut.data.streaming.views import Augmentation
from taut.errors import UserError

__all__ = [
    "CENTRE",
    "STREAM",
    "Augmentation",
    "Decoded",
    "DecodedBatch",
    "Key",
    "PictureSource",
    "StreamedPictures",
    "centre_batches",
    "decoded_batches",
    "open_stream",
]

STREAM = "image-stream"
"""What configurations call pictures that are streamed."""

_NESTED = ("", "data", "default")
_LAYOUT = (
    "it has the folders train and val (or valid, validation or test), each with a folder of pictures for each class, "
    "or parquet files of those names, whole or in numbered parts, as those of the Hugging Face hub, where ImageNet is "
    "ILSVRC/imagenet-1k (nothing is downloaded here)"
)


@dataclass(frozen=True, kw_only=True)
class StreamedPictures:
    """Both splits of a set of pictures, and the names of the classes."""

    train: PictureSource
    held_out: PictureSource
    classes: tuple[str, ...]
    """Label i is classes[i]: the folders in the order of their names, or what parquet files call the labels."""


def open_stream(data_root: Path | None) -> StreamedPictures:
    """The pictures below `data_root`, or below its sub-folder image-stream, or in what the Hugging Face hub's client
    leaves there; labels are read, pictures are not.

    Raises:
        UserError: Folders or files are missing or damaged; the sentence names one.
    """
    if data_root is None and os.environ.get("TAUT_DATA_ROOT"):
        data_root = Path(os.environ["TAUT_DATA_ROOT"])
    root = needed_root(STREAM, data_root, _LAYOUT)
    try:
        for folder in _folders(root):
            if folders := split_folders(folder):
                return _of_folders(*folders)
            if files := split_files(folder):
                return _of_shards(ShardSource(files[0]), ShardSource(files[1]))
    except OSError as error:  # a folder that may not be read, a disk that fails
        raise UserError(f"cannot read {error.filename or root}: {error.strerror or error}") from error
    raise UserError(f"{STREAM} is not there: neither {root / STREAM} nor {root} is one; {_LAYOUT}")


def _folders(root: Path) -> list[Path]:
    """Where they are looked for: data and default are where the hub has parquet files."""
    return [folder / inner for folder in (root / STREAM, root, *hub_folders(root, None)) for inner in _NESTED]


def _of_folders(train: Path, held_out: Path) -> StreamedPictures:
    classes = tuple(class_folders(train))
    pictures = FolderSource(train, classes)
    empty = set(range(len(classes))) - set(pictures.labels.unique().tolist())
    if empty:
        raise UserError(f"{train / classes[min(empty)]} has no pictures")
    return StreamedPictures(train=pictures, held_out=FolderSource(held_out, classes), classes=classes)


def _of_shards(train: ShardSource, held_out: ShardSource) -> StreamedPictures:
    classes = train.names or tuple(map(str, range(int(train.labels.max()) + 1)))
    for source in (train, held_out):
        low, high = int(source.labels.min()), int(source.labels.max())
        if low < 0 or high >= len(classes):
            raise UserError(f"{source.files[0]} has labels {low}..{high}, allowed are 0..{len(classes) - 1}")
    return StreamedPictures(train=train, held_out=held_out, classes=classes)
