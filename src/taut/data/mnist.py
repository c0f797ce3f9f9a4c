"""MNIST and Fashion-MNIST from their four idx files, wherever the user keeps them."""

from pathlib import Path

import torch

from taut.data.dataset import Dataset, Problem, Split
from taut.data.idx import read_idx
from taut.errors import UserError

MNIST = Problem(shape=(1, 28, 28), classes=tuple(str(digit) for digit in range(10)))
FASHION_MNIST = Problem(
    shape=(1, 28, 28),
    classes=("t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot"),
)

_HOW_TO_GET = {
    "mnist": "they are at https://ossci-datasets.s3.amazonaws.com/mnist/",
    "fashion-mnist": "they are at https://github.com/zalandoresearch/fashion-mnist and in Debian's package "
    "dataset-fashion-mnist",
}


def load_mnist(name: str, problem: Problem, data_root: Path | None) -> Dataset:
    """MNIST ("mnist") or Fashion-MNIST ("fashion-mnist"): 28x28 grey pictures, bytes that stand for pixels / 255, in
    their own split.

    Args:
        name: "mnist" or "fashion-mnist".
        problem: `MNIST` or `FASHION_MNIST`.
        data_root: Folder that holds the four idx files (plain or .gz), or a subfolder called `name` that does.

    Raises:
        UserError: Files are missing or damaged; the sentence names them.
    """
    if data_root is None:
        raise UserError(
            f"{name} is read from files: give --data-root DIR or set TAUT_DATA_ROOT to the folder with its four idx "
            f"files ({_HOW_TO_GET[name]})"
        )
    files = _find(name, data_root)
    return Dataset(
        train=_split(files["train-images"], files["train-labels"]),
        test=_split(files["t10k-images"], files["t10k-labels"]),
        name=name,
        problem=problem,
    )


def _find(name: str, data_root: Path) -> dict[str, Path]:
    """The four files, all from the first folder that holds them all."""
    folders = [data_root, data_root / name]
    missing: list[str] = []
    for folder in folders:
        found = {
            stem: _existing(folder, stem) for stem in ("train-images", "train-labels", "t10k-images", "t10k-labels")
        }
        if all(found.values()):
            return {stem: path for stem, path in found.items() if path is not None}
        absent = [_file_name(stem) for stem, path in found.items() if path is None]
        if not missing or len(absent) < len(missing):
            missing = absent
    raise UserError(
        f"{name} is not complete: missing {', '.join(missing)} (plain or .gz) in {folders[0]} and {folders[1]}; "
        f"{_HOW_TO_GET[name]}"
    )


def _file_name(stem: str) -> str:
    return f"{stem}-{'idx3' if stem.endswith('images') else 'idx1'}-ubyte"


def _existing(folder: Path, stem: str) -> Path | None:
    name = _file_name(stem)
    for candidate in (name, f"{name}.gz", name.replace("-idx", ".idx"), name.replace("-idx", ".idx") + ".gz"):
        if (folder / candidate).is_file():
            return folder / candidate
    return None


def _split(images: Path, labels: Path) -> Split:
    pixels, classes = read_idx(images), read_idx(labels)
    if pixels.ndim != 3 or pixels.shape[1:] != (28, 28):
        raise UserError(f"{images} must hold 28x28 pictures, but its shape is {tuple(pixels.shape)}")
    if classes.ndim != 1 or len(classes) != len(pixels):
        raise UserError(
            f"{labels} must hold {len(pixels)} labels, one per picture, but its shape is {tuple(classes.shape)}"
        )
    return Split(inputs=pixels.unsqueeze(1), labels=classes.to(torch.int64))
