"""Pictures in class folders: train/CLASS/*.jpeg, and beside train the held-out ones in val, validation or test."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import torch

from taut.data.pictures import picture_files
from taut.data.streaming.source import PictureSource
from taut.errors import UserError

HELD_OUT = ("val", "valid", "validation", "test")


class FolderSource(PictureSource):
    """The pictures in the class folders of one split, in the order of their names."""

    def __init__(self, folder: Path, classes: Sequence[str]) -> None:
        """UserError where a class folder is missing, empty, or not one of `classes`."""
        found = class_folders(folder)
        if unknown := [name for name in found if name not in classes]:
            raise UserError(f"{folder / unknown[0]} is a class that the training split does not have")
        self.folder = folder
        names: list[str] = []
        labels: list[int] = []
        digest = hashlib.sha256()
        for label, name in enumerate(classes):
            for path in picture_files(folder / name) if name in found else []:
                names.append(path.relative_to(folder).as_posix())
                labels.append(label)
                digest.update(f"{names[-1]}\0{path.stat().st_size}\0{label}\n".encode())
        if not names:
            raise UserError(f"{folder} has no pictures")
        # One string instead of a million objects: processes that are forked share it without copying.
        self._names = "\n".join(names)
        lengths = torch.tensor([len(name) + 1 for name in names])
        self._ends = lengths.cumsum(0)
        self.labels = torch.tensor(labels)
        self.fingerprint = digest.hexdigest()

    def encoded(self, index: int) -> tuple[Path, str]:
        start = int(self._ends[index - 1]) if index else 0
        path = self.folder / self._names[start : int(self._ends[index]) - 1]
        return path, str(path)


def class_folders(folder: Path) -> list[str]:
    """Names of the class folders of a split, in their order. UserError where there is none."""
    names = sorted(path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    if not names:
        raise UserError(f"{folder} has no class folders")
    return names


def split_folders(root: Path) -> tuple[Path, Path] | None:
    """The folders of the training split and the held-out one in `root`; None where they are not there."""
    held_out = [root / name for name in HELD_OUT if (root / name).is_dir()]
    return (root / "train", held_out[0]) if (root / "train").is_dir() and held_out else None
