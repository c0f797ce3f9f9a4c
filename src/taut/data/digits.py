"""The 8x8 handwritten digits that ship inside scikit-learn: no download, no files."""

from typing import Any

import numpy as np
import torch

from taut.data.dataset import Dataset, Problem, Split
from taut.errors import UserError

DIGITS = Problem(shape=(1, 8, 8), classes=tuple(str(digit) for digit in range(10)))

_HELD_OUT = 0.25
_SPLIT_SEED = 0
_LARGEST_PIXEL = 16


def load_digits() -> Dataset:
    """1797 grey 8x8 pictures of ten digits, pixels divided by 16; a quarter held out, stratified, the same for every
    seed.

    Raises:
        UserError: scikit-learn is not installed.
    """
    try:
        from sklearn.datasets import load_digits as sklearn_digits
        from sklearn.model_selection import train_test_split
    except ImportError as error:
        raise UserError('the digits ship with scikit-learn, which is missing: pip install "taut[app]"') from error

    bunch: Any = sklearn_digits()
    labels = np.asarray(bunch["target"])
    everything = np.arange(len(labels))
    train, test = train_test_split(everything, test_size=_HELD_OUT, random_state=_SPLIT_SEED, stratify=labels)
    pixels = torch.from_numpy(np.asarray(bunch["images"])).to(torch.float32).div_(_LARGEST_PIXEL).unsqueeze(1)
    classes = torch.from_numpy(labels).to(torch.int64)
    return Dataset(
        train=_rows(pixels, classes, np.asarray(train)),
        test=_rows(pixels, classes, np.asarray(test)),
        name="digits",
        problem=DIGITS,
    )


def _rows(pixels: torch.Tensor, classes: torch.Tensor, rows: np.ndarray) -> Split:
    index = torch.from_numpy(np.sort(rows))
    return Split(inputs=pixels[index], labels=classes[index])
