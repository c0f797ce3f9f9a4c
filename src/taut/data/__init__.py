"""Data sets as whole tensors in memory: `load(name, data_root)` for every name in `names()`."""

import os
from collections.abc import Callable
from pathlib import Path

from taut.data.dataset import Dataset, Problem, Split, check_split, fingerprint
from taut.data.digits import DIGITS, load_digits
from taut.data.idx import read_idx
from taut.data.mnist import FASHION_MNIST, MNIST, load_mnist
from taut.errors import UsageError

__all__ = ["Dataset", "Problem", "Split", "check_split", "fingerprint", "load", "names", "problem", "read_idx"]

_LOADERS: dict[str, tuple[Problem, Callable[[Path | None], Dataset]]] = {
    "digits": (DIGITS, lambda _: load_digits()),
    "fashion-mnist": (FASHION_MNIST, lambda root: load_mnist("fashion-mnist", FASHION_MNIST, root)),
    "mnist": (MNIST, lambda root: load_mnist("mnist", MNIST, root)),
}


def names() -> tuple[str, ...]:
    """Names that `load` knows.

    Example:
        >>> names()
        ('digits', 'fashion-mnist', 'mnist')
    """
    return tuple(_LOADERS)


def load(name: str, data_root: Path | None = None) -> Dataset:
    """The data set called `name`, its inputs in [0, 1].

    Args:
        name: One of `names()`.
        data_root: Where files are kept; the environment variable TAUT_DATA_ROOT when None. Embedded data sets ignore
        it.

    Raises:
        UsageError: Unknown name.
        UserError: Files that are missing or damaged.

    Example:
        >>> digits = load("digits")
        >>> digits.problem.shape, len(digits.train) + len(digits.test)
        ((1, 8, 8), 1797)
    """
    _check(name)
    if data_root is None and os.environ.get("TAUT_DATA_ROOT"):
        data_root = Path(os.environ["TAUT_DATA_ROOT"])
    return _LOADERS[name][1](data_root)


def problem(name: str) -> Problem:
    """Shape and classes of the data set called `name`, without reading it. Raises UsageError for an unknown name.

    Example:
        >>> problem("mnist").shape
        (1, 28, 28)
    """
    _check(name)
    return _LOADERS[name][0]


def _check(name: str) -> None:
    if name not in _LOADERS:
        raise UsageError(f"unknown data set {name!r}; known are {', '.join(_LOADERS)}")
