"""taut: PyTorch neural networks with a strict, proven Lipschitz constant."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from taut import attacks, certify, data, functional, imaging, losses, models, nn, optim, testing, transport
    from taut.certify import audit, estimate, lipschitz_bound
    from taut.models.exported import load
    from taut.nn import constrain, fold
    from taut.transport import wasserstein1

__version__ = "0.1.0"

__all__ = [
    "attacks",
    "audit",
    "certify",
    "constrain",
    "data",
    "estimate",
    "fold",
    "functional",
    "imaging",
    "lipschitz_bound",
    "load",
    "losses",
    "models",
    "nn",
    "optim",
    "testing",
    "transport",
    "wasserstein1",
]

_FUNCTIONS = {
    "audit": "certify",
    "constrain": "nn",
    "estimate": "certify",
    "fold": "nn",
    "lipschitz_bound": "certify",
    "load": "models.exported",
    "wasserstein1": "transport",
}


def __getattr__(name: str) -> Any:
    """Rooms and functions are loaded when first asked for, so that `taut --help` does not wait for torch."""
    if name in _FUNCTIONS:
        return getattr(import_module(f"taut.{_FUNCTIONS[name]}"), name)
    if name in __all__:
        return import_module(f"taut.{name}")
    raise AttributeError(f"module 'taut' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
