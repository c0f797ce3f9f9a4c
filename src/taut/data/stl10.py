"""STL-10: 96x96 pictures in colour of ten classes, from its binary files."""

from collections.abc import Sequence
from pathlib import Path

import torch

from taut.data.dataset import Dataset, Problem
from taut.data.forms import Form, Raw, Source, load_source
from taut.data.parquet import parquet_form
from taut.data.records import read_records
from taut.errors import UserError

STL10 = Problem(
    shape=(3, 96, 96),
    classes=("airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck"),
)


def load_stl10(data_root: Path | None) -> Dataset:
    """STL-10's labelled pictures, 5,000 and 8,000, from `train_X.bin`, `train_y.bin`, `test_X.bin` and `test_y.bin`.
    These have the columns of each channel one after the other, and classes from 1. Or from parquet files (columns image
    and label, classes from 0).

    Raises:
        UserError: Files are missing or damaged.
    """
    return load_source(_SOURCE, data_root)


def _read(files: Sequence[Path]) -> Raw:
    pictures, classes = files
    columns = read_records([pictures], 3 * 96 * 96).reshape(-1, 3, 96, 96)
    labels = read_records([classes], 1).flatten().to(torch.int64)
    if int(labels.min()) < 1:
        raise UserError(f"{classes} must hold classes from 1 to 10, but it holds 0")
    return columns.transpose(2, 3).contiguous(), labels - 1


_SOURCE = Source(
    name="stl10",
    problem=STL10,
    forms=(
        Form(files=lambda _, split: [f"{split}_X.bin", f"{split}_y.bin"], read=_read),
        parquet_form((3, 96, 96), "label"),
    ),
    nested=("stl10_binary", "data"),
    how_to_get="stl10_binary.tar.gz is at https://cs.stanford.edu/~acoates/stl10/",
    hub="tanganke/stl10",
)
