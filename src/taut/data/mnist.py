"""MNIST and its relatives: grey 28x28 pictures from four idx files or from parquet files."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import torch

from taut.data.dataset import Dataset, Problem
from taut.data.forms import Form, Raw, Source, load_source
from taut.data.idx import read_idx
from taut.data.parquet import read_parquet, shards
from taut.errors import UserError

_SHAPE = (1, 28, 28)
_DIGITS = tuple("0123456789")
_LETTERS = tuple("abcdefghijklmnopqrstuvwxyz")
_BALANCED = tuple("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabdefghnqrt")
_GARMENTS = ("t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")
_HIRAGANA = ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")
_EMNIST_PAGE = "https://www.nist.gov/itl/products-and-services/emnist-dataset"


def load_mnist(name: str, data_root: Path | None) -> Dataset:
    """The member `name` of `MNIST_FAMILY` in its own split, from its four idx files (plain or gzipped), or from parquet
    files (columns image or img, and label).

    The files of EMNIST have rows and columns exchanged, and letters numbered from 1; here pictures are upright, and
    labels from 0.

    Raises:
        UserError: Files are missing or damaged; the sentence names them.
    """
    return load_source(MNIST_FAMILY[name], data_root)


def _source(
    name: str,
    classes: tuple[str, ...],
    how_to_get: str,
    *,
    hub: str | None = None,
    stems: tuple[str, str] = ("train", "t10k"),
    nested: Sequence[str] = (),
) -> Source:
    """`stems` are what the names of the idx files of the training and of the held-out split begin with."""
    transposed = name.startswith("emnist")
    first = 1 if name == "emnist-letters" else 0
    idx = Form(
        files=lambda folder, split: _idx_files(folder, stems[split == "test"]),
        read=partial(_read_idx, transposed=transposed, first=first),
    )
    table = Form(files=shards, read=partial(_read_parquet, transposed=transposed, letters=bool(first)))
    return Source(
        name=name,
        problem=Problem(shape=_SHAPE, classes=classes),
        forms=(idx, table),
        nested=(*nested, "raw", "data"),
        how_to_get=how_to_get,
        hub=hub,
    )


def _emnist(name: str, classes: tuple[str, ...], hub: str | None = None) -> Source:
    return _source(
        name,
        classes,
        f"gzip.zip with {name}-train-images-idx3-ubyte.gz and the others is at {_EMNIST_PAGE}",
        hub=hub,
        stems=(f"{name}-train", f"{name}-test"),
        nested=("gzip", "EMNIST/raw", "emnist", "emnist/gzip", name),
    )


def _idx_files(folder: Path, stem: str) -> list[str]:
    """Names of the files of pictures and labels: those that are there, however they are spelt, or the usual ones."""
    return [_spelt(folder, f"{stem}-{kind}") for kind in ("images-idx3-ubyte", "labels-idx1-ubyte")]


def _spelt(folder: Path, name: str) -> str:
    plain = name.replace("-idx", ".idx")
    return next((found for found in (name, f"{name}.gz", plain, f"{plain}.gz") if (folder / found).is_file()), name)


def _read_idx(files: Sequence[Path], *, transposed: bool, first: int) -> Raw:
    images, labels = files
    pixels, classes = read_idx(images), read_idx(labels)
    if pixels.ndim != 3 or pixels.shape[1:] != (28, 28):
        raise UserError(f"{images} must hold 28x28 pictures, but its shape is {tuple(pixels.shape)}")
    if classes.ndim != 1 or len(classes) != len(pixels):
        raise UserError(
            f"{labels} must hold {len(pixels)} labels, one per picture, but its shape is {tuple(classes.shape)}"
        )
    if len(classes) and int(classes.min()) < first:
        raise UserError(f"{labels} must hold labels from {first} on, but it holds {int(classes.min())}")
    return _upright(pixels.unsqueeze(1), transposed), classes.to(torch.int64) - first


def _read_parquet(files: Sequence[Path], *, transposed: bool, letters: bool) -> Raw:
    pixels, classes = read_parquet(files, _SHAPE, ("label",))
    first = _first_letter(classes, files[0]) if letters and len(classes) else 0
    return _upright(pixels, transposed), classes - first


def _first_letter(classes: torch.Tensor, path: Path) -> int:
    """Some copies number the letters from 1, as the idx files do, others from 0."""
    low, high = int(classes.min()), int(classes.max())
    if low > 0 and high < len(_LETTERS):
        raise UserError(f"{path} has labels {low}..{high}: it cannot be told whether they count from 0 or from 1")
    return int(high == len(_LETTERS))


def _upright(pixels: torch.Tensor, transposed: bool) -> torch.Tensor:
    return pixels.transpose(2, 3).contiguous() if transposed else pixels


MNIST_FAMILY = {
    source.name: source
    for source in (
        _source(
            "mnist",
            _DIGITS,
            "idx files (plain or .gz) are at https://ossci-datasets.s3.amazonaws.com/mnist/",
            hub="ylecun/mnist",
            nested=("mnist", "MNIST/raw"),
        ),
        _source(
            "fashion-mnist",
            _GARMENTS,
            "idx files (plain or .gz) are at https://github.com/zalandoresearch/fashion-mnist and in Debian's package "
            "dataset-fashion-mnist",
            hub="zalando-datasets/fashion_mnist",
            nested=("fashion_mnist", "FashionMNIST/raw"),
        ),
        _source(
            "kmnist",
            _HIRAGANA,
            "idx files (plain or .gz) are at http://codh.rois.ac.jp/kmnist/",
            hub="tanganke/kmnist",
            nested=("kmnist", "KMNIST/raw"),
        ),
        _emnist("emnist-balanced", _BALANCED),
        _emnist("emnist-digits", _DIGITS),
        _emnist("emnist-letters", _LETTERS, hub="tanganke/emnist_letters"),
    )
}
"""Sources by name; labels of kmnist are the sounds of its Hiragana."""
