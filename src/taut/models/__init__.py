"""Networks put together from the layers of `taut.nn`."""

from taut.models.mlp import mlp

__all__ = ["mlp"]
