"""Any pictures of one size, sorted into folders: train/CLASS/*.png and test/CLASS/*.png."""

from pathlib import Path

import torch

from taut.data.dataset import Dataset, Problem, Split
from taut.data.forms import needed_root
from taut.data.pictures import decode, picture_files, picture_shape
from taut.errors import UserError

_NAME = "image-folder"
_LAYOUT = "it has the folders train and test, each with a folder of pictures for each class"


def image_folder_problem(data_root: Path | None) -> Problem:
    """Shape of the first training picture, and the names of the folders in train, in their order.

    Raises:
        UserError: There is no such folder, or no picture in it.
    """
    classes = _classes(_find(data_root) / "train")
    first = next(iter(classes))
    return Problem(shape=picture_shape(classes[first][0]), classes=tuple(classes))


def load_image_folder(data_root: Path | None) -> Dataset:
    """The pictures below `data_root`, or below its sub-folder image-folder, all of the size of the first.

    Raises:
        UserError: Folders or pictures are missing or damaged, or differ in size; the sentence names one.
    """
    folder, problem = _find(data_root), image_folder_problem(data_root)
    return Dataset(
        train=_split(folder / "train", problem), test=_split(folder / "test", problem), name=_NAME, problem=problem
    )


def _find(data_root: Path | None) -> Path:
    root = needed_root(_NAME, data_root, _LAYOUT)
    for folder in (root / _NAME, root):
        if (folder / "train").is_dir() and (folder / "test").is_dir():
            return folder
    raise UserError(f"{_NAME} is not there: neither {root / _NAME} nor {root} has folders train and test; {_LAYOUT}")


def _classes(folder: Path) -> dict[str, list[Path]]:
    """Pictures by the name of their class, in the order of the names."""
    inside = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    classes = {path.name: picture_files(path) for path in inside}
    if not classes:
        raise UserError(f"{folder} has no class folders; {_LAYOUT}")
    if empty := [name for name, files in classes.items() if not files]:
        raise UserError(f"{folder / empty[0]} has no pictures")
    return classes


def _split(folder: Path, problem: Problem) -> Split:
    classes = _classes(folder)
    if unknown := [name for name in classes if name not in problem.classes]:
        raise UserError(f"{folder / unknown[0]} is a class that the training split does not have")
    labelled = [(path, problem.classes.index(name)) for name, files in classes.items() for path in files]
    pixels = torch.empty(len(labelled), *problem.shape, dtype=torch.uint8)
    for row, (path, _) in enumerate(labelled):
        picture = decode(path, str(path), channels=problem.shape[0])
        if tuple(picture.shape) != problem.shape:
            _, height, width = picture.shape
            raise UserError(
                f"{path} is {width}x{height}, but the first training picture is {problem.shape[2]}x{problem.shape[1]}: "
                f"all must have one size"
            )
        pixels[row] = picture
    return Split(inputs=pixels, labels=torch.tensor([label for _, label in labelled]))
