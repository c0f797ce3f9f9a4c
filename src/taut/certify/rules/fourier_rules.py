r"""The constant of convolutions that are made in the Fourier domain, by theorem, in real arithmetic.

Each symbol is a Cayley transform or a part of a block reflection, whose singular values are 1 (at most 1 where the
reflection's basis loses rank), and Newton-Schulz steps map [0, 1] into itself. Half a spectrum stands for the whole:
the inverse transform leaves out only what is not real, which is a projection.
"""

from typing import Any

import torch
from torch import fx, nn

from taut.certify.norms.gram import exact_float64
from taut.certify.norms.spectral import Proof
from taut.nn.conversion.plain_fourier import is_fourier_graph

THEOREM = "orthogonal frequency by frequency"


def is_fourier(module: nn.Module) -> bool:
    """A layer of taut.nn, or the graph that one folds to. A subclass of one may compute something else."""
    if isinstance(module, fx.GraphModule):
        return is_fourier_graph(module)
    cls = type(module)
    return cls.__module__.startswith("taut.nn.") and bool(getattr(cls, "folds_to_fourier", False))


@torch.no_grad()
def fourier_proof(module: nn.Module) -> Proof:
    """The l2 constant of a module that `is_fourier`. ValueError for a kernel that is not finite."""
    weight: Any = module.weight
    exact_float64(weight)
    return Proof(bound=1.0, method=THEOREM)
