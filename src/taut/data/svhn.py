"""SVHN, house numbers in street view: 32x32 pictures in colour of ten digits, from MATLAB or parquet files."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from taut.data.dataset import Dataset, Problem
from taut.data.forms import Form, Raw, Source, load_source
from taut.data.parquet import parquet_form
from taut.errors import UserError

SVHN = Problem(shape=(3, 32, 32), classes=tuple(str(digit) for digit in range(10)))


def load_svhn(data_root: Path | None) -> Dataset:
    """SVHN's cropped digits, 73,257 and 26,032, from `train_32x32.mat` and `test_32x32.mat`, where the label 10 is the
    digit 0, or from parquet files (columns image and label).

    Raises:
        UserError: Files are missing or damaged.
    """
    return load_source(_SOURCE, data_root)


def _read_mat(files: Sequence[Path]) -> Raw:
    (path,) = files
    try:
        from scipy.io import loadmat
    except ImportError as error:
        raise UserError(f'{path} is read with scipy, which is missing: pip install "taut[data]"') from error
    try:
        content = loadmat(path, variable_names=["X", "y"])
    except Exception as error:  # damaged files fail in scipy's readers in many ways
        raise UserError(f"{path} is damaged: {' '.join(str(error).split()) or type(error).__name__}") from error
    if missing := [name for name in ("X", "y") if name not in content]:
        raise UserError(f"{path} must hold the arrays X and y, but it lacks {' and '.join(missing)}")
    pixels, labels = np.asarray(content["X"]), np.asarray(content["y"]).reshape(-1)
    if pixels.dtype != np.uint8 or pixels.ndim != 4:
        raise UserError(
            f"X in {path} must be unsigned bytes of 4 dimensions (height, width, channels, samples), but it is "
            f"{pixels.dtype} of shape {pixels.shape}"
        )
    if labels.dtype.kind not in "iu" or (len(labels) and not 1 <= labels.min() <= labels.max() <= 10):
        raise UserError(f"y in {path} must hold integers from 1 to 10, where 10 is the digit 0")
    digits = torch.from_numpy(labels.astype(np.int64)) % 10
    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(3, 2, 0, 1))), digits


_SOURCE = Source(
    name="svhn",
    problem=SVHN,
    forms=(
        Form(files=lambda _, split: [f"{split}_32x32.mat"], read=_read_mat),
        parquet_form((3, 32, 32), "label"),
    ),
    nested=("cropped_digits", "data"),
    how_to_get="train_32x32.mat and test_32x32.mat are at http://ufldl.stanford.edu/housenumbers",
    hub="ufldl-stanford/svhn",
)
