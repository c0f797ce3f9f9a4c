"""Data sets as whole tensors in memory: `load(name, data_root)` for every name in `names()`."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from taut.data.cifar import CIFAR10, CIFAR100, load_cifar10, load_cifar100
from taut.data.dataset import Dataset, Problem, Split, as_inputs, check_split, fingerprint
from taut.data.digits import DIGITS, load_digits
from taut.data.distributions import (
    Distribution,
    Empirical,
    Function,
    Gaussian,
    Mixture,
    Points,
    Potential,
    Shells,
    UniformCube,
    exact_wasserstein1,
    parse,
    true_potential,
)
from taut.data.idx import read_idx
from taut.data.image_folder import image_folder_problem, load_image_folder
from taut.data.lsun import LSUN_BEDROOM, load_lsun_bedroom
from taut.data.mnist import MNIST_FAMILY, load_mnist
from taut.data.nearest import Nearest, nearest_other_label
from taut.data.stl10 import STL10, load_stl10
from taut.data.subsets import per_class_indices, read_indices, take, write_indices
from taut.data.svhn import SVHN, load_svhn
from taut.data.tiny_imagenet import TINY_IMAGENET, load_tiny_imagenet
from taut.errors import UsageError, UserError

__all__ = [
    "Dataset",
    "Distribution",
    "Empirical",
    "Function",
    "Gaussian",
    "Mixture",
    "Nearest",
    "Points",
    "Potential",
    "Problem",
    "Shells",
    "Split",
    "UniformCube",
    "as_inputs",
    "check_split",
    "exact_wasserstein1",
    "fingerprint",
    "load",
    "names",
    "nearest_other_label",
    "parse",
    "per_class_indices",
    "problem",
    "read_idx",
    "read_indices",
    "take",
    "true_potential",
    "write_indices",
]


@dataclass(frozen=True, kw_only=True)
class _Named:
    load: Callable[[Path | None], Dataset]
    problem: Callable[[Path | None], Problem]


def _of_mnist(name: str) -> _Named:
    return _Named(load=lambda root: load_mnist(name, root), problem=lambda _: MNIST_FAMILY[name].problem)


_NAMED = {
    "cifar10": _Named(load=load_cifar10, problem=lambda _: CIFAR10),
    "cifar100": _Named(load=load_cifar100, problem=lambda _: CIFAR100),
    "digits": _Named(load=lambda _: load_digits(), problem=lambda _: DIGITS),
    "emnist-balanced": _of_mnist("emnist-balanced"),
    "emnist-digits": _of_mnist("emnist-digits"),
    "emnist-letters": _of_mnist("emnist-letters"),
    "fashion-mnist": _of_mnist("fashion-mnist"),
    "image-folder": _Named(load=load_image_folder, problem=image_folder_problem),
    "kmnist": _of_mnist("kmnist"),
    "lsun-bedroom": _Named(load=load_lsun_bedroom, problem=lambda _: LSUN_BEDROOM),
    "mnist": _of_mnist("mnist"),
    "stl10": _Named(load=load_stl10, problem=lambda _: STL10),
    "svhn": _Named(load=load_svhn, problem=lambda _: SVHN),
    "tiny-imagenet": _Named(load=load_tiny_imagenet, problem=lambda _: TINY_IMAGENET),
}


def names() -> tuple[str, ...]:
    """Names that `load` knows.

    Example:
        >>> names()[:4]
        ('cifar10', 'cifar100', 'digits', 'emnist-balanced')
    """
    return tuple(_NAMED)


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
    return _read(_named(name).load, data_root)


def problem(name: str, data_root: Path | None = None) -> Problem:
    """Shape and classes of the data set called `name`, without reading it.

    Args:
        name: One of `names()`.
        data_root: As for `load`; only the problem of an image-folder depends on it.

    Raises:
        UsageError: Unknown name.
        UserError: An image-folder that is not there.

    Example:
        >>> problem("mnist").shape
        (1, 28, 28)
    """
    return _read(_named(name).problem, data_root)


def _named(name: str) -> _Named:
    if name not in _NAMED:
        raise UsageError(f"unknown data set {name!r}; known are {', '.join(_NAMED)}")
    return _NAMED[name]


_Read = TypeVar("_Read")


def _read(reader: Callable[[Path | None], _Read], data_root: Path | None) -> _Read:
    if data_root is None and os.environ.get("TAUT_DATA_ROOT"):
        data_root = Path(os.environ["TAUT_DATA_ROOT"])
    try:
        return reader(data_root)
    except OSError as error:  # a folder that may not be read, a disk that fails
        raise UserError(f"cannot read {error.filename or data_root}: {error.strerror or error}") from error
