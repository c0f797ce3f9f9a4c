"""CIFAR-10 and CIFAR-100: 32x32 pictures in colour, from parquet files or the official binary version."""

from collections.abc import Sequence
from pathlib import Path

import torch

from taut.data.dataset import Dataset, Problem
from taut.data.forms import Form, Raw, Source, load_source
from taut.data.parquet import parquet_form
from taut.data.records import read_records

_SHAPE = (3, 32, 32)
_PAGE = "https://www.cs.toronto.edu/~kriz/cifar.html"

_FINE = (
    "apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can "
    "castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin "
    "elephant flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster "
    "man maple_tree motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck "
    "pine_tree plain plate poppy porcupine possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk "
    "skyscraper snail snake spider squirrel streetcar sunflower sweet_pepper table tank telephone television tiger "
    "tractor train trout tulip turtle wardrobe whale willow_tree wolf woman worm"
)

CIFAR10 = Problem(
    shape=_SHAPE,
    classes=("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
)
CIFAR100 = Problem(shape=_SHAPE, classes=tuple(_FINE.split(" ")))


def load_cifar10(data_root: Path | None) -> Dataset:
    """CIFAR-10: 50,000 and 10,000 pictures of ten classes, from parquet files (columns img or image, and label) or
    `data_batch_1.bin` to `5` and `test_batch.bin`.

    Raises:
        UserError: Files are missing or damaged; pickles are refused, for reading one runs what is written in it.
    """
    return load_source(_SOURCE10, data_root)


def load_cifar100(data_root: Path | None) -> Dataset:
    """CIFAR-100 with its hundred fine labels, from parquet files (columns img or image, and fine_label) or `train.bin`
    and `test.bin`. Raises UserError as `load_cifar10` does."""
    return load_source(_SOURCE100, data_root)


def _binary(labels: int, train: Sequence[str], test: Sequence[str]) -> Form:
    """Records of `labels` bytes of labels, the last of which counts, and a picture by channels."""

    def read(files: Sequence[Path]) -> Raw:
        records = read_records(files, labels + 3 * 32 * 32)
        return records[:, labels:].reshape(-1, *_SHAPE), records[:, labels - 1].to(torch.int64)

    return Form(files=lambda _, split: train if split == "train" else test, read=read)


def _pickles(archive: str, *names: str):
    """A remark on folders that hold the version in Python pickles."""

    def remark(folder: Path) -> str:
        if not all((folder / name).is_file() for name in names):
            return ""
        return (
            f"{folder} holds the version in Python pickles, which are refused because reading one can run what is "
            f"written in it: take the binary version, {archive}"
        )

    return remark


_SOURCE10 = Source(
    name="cifar10",
    problem=CIFAR10,
    forms=(
        parquet_form(_SHAPE, "label"),
        _binary(1, [f"data_batch_{number}.bin" for number in range(1, 6)], ["test_batch.bin"]),
    ),
    nested=("plain_text", "data", "cifar-10-batches-bin", "cifar-10-batches-py"),
    how_to_get=f"cifar-10-binary.tar.gz is at {_PAGE}",
    hub="uoft-cs/cifar10",
    remark=_pickles("cifar-10-binary.tar.gz", "data_batch_1", "test_batch"),
)
_SOURCE100 = Source(
    name="cifar100",
    problem=CIFAR100,
    forms=(parquet_form(_SHAPE, "fine_label"), _binary(2, ["train.bin"], ["test.bin"])),
    nested=("cifar100", "data", "cifar-100-binary", "cifar-100-python"),
    how_to_get=f"cifar-100-binary.tar.gz is at {_PAGE}",
    hub="uoft-cs/cifar100",
    remark=_pickles("cifar-100-binary.tar.gz", "train", "test", "meta"),
)
