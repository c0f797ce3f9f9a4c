"""Training: the loop, checkpoints, processes, logs and progress. It knows nothing of what is trained."""

import sys


def _start_engine() -> None:
    """Import lightning_fabric without torchmetrics, which it imports only to learn its version: with scipy.signal
    behind it, a third of the time that `taut train` takes to start."""
    unknown = "torchmetrics" not in sys.modules
    if unknown:
        sys.modules["torchmetrics"] = None  # type: ignore[assignment]  # an import of it fails, as if it were absent
    try:
        import lightning_fabric  # noqa: F401
    finally:
        if unknown:
            del sys.modules["torchmetrics"]


_start_engine()
