"""Tasks: what can be trained. Each is a package with a `Config` and the functions `train` and `show_finished`."""

from importlib import import_module
from types import ModuleType

from taut import training as training  # before any task imports lightning_fabric
from taut.errors import UsageError

NAMES = (
    "cifar10-table",
    "classification",
    "denoising",
    "fit-1d",
    "gan",
    "invertible",
    "restoration",
    "wasserstein",
    "wasserstein-table",
)


def task(name: str) -> ModuleType:
    """The task called `name`. Raises UsageError for an unknown one.

    Example:
        >>> task("classification").Config().task
        'classification'
    """
    if name not in NAMES:
        raise UsageError(f"unknown task {name!r}; known are {', '.join(NAMES)}")
    return import_module(f"taut.tasks.{name.replace('-', '_')}")
