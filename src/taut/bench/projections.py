"""Projections of one weight onto its constraint, in multiples of one matrix product."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial

import torch
from torch import Tensor

from taut import functional
from taut.bench.config import BenchConfig
from taut.bench.peers import bjorck_twenty_five, sorted_l1_projection
from taut.bench.section import Section
from taut.bench.timing import Call, Contenders

BASE = "one product"

_ORTHOGONAL: dict[str, Callable[[Tensor], Tensor]] = {
    "taut: polar_factor": functional.polar_factor,
    "taut: cholesky_factor": functional.cholesky_factor,
    "taut: qr_factor": functional.qr_factor,
    "taut: cayley": functional.cayley,
    "taut: exponential": functional.exponential,
    "taut: bjorck_step": functional.bjorck_step,
    "taut: almost_orthogonal": functional.almost_orthogonal,
    "taut: spectral_normalize": functional.spectral_normalize,
    "torch: linalg.qr": lambda weight: torch.linalg.qr(weight).Q,
    "torch: linalg.svd, polar factor": lambda weight: (lambda u, _, vh: u @ vh)(
        *torch.linalg.svd(weight, full_matrices=False)
    ),
    "LNets: Björck 25 (formula)": bjorck_twenty_five,
}
_L1: dict[str, Callable[[Tensor], Tensor]] = {
    "taut: project_rows_l1": functional.project_rows_l1,
    "taut: scale_rows_l1": functional.scale_rows_l1,
    "LNets: sort and cumulative sum (formula)": sorted_l1_projection,
}


def sections(config: BenchConfig, device: torch.device) -> Iterator[Section]:
    """A table of the orthogonal ones and one of the rows in the l1 ball, for each width."""
    for width in config.widths:
        for words, made in (("orthogonal matrices", _ORTHOGONAL), ("rows in the l1 ball", _L1)):
            yield Section(
                title=f"Projection of a {width} x {width} weight: {words}, forward and backward, float32",
                base=BASE,
                contenders=partial(_contenders, made, width, device),
            )


def _contenders(made: Mapping[str, Callable[[Tensor], Tensor]], width: int, device: torch.device) -> Contenders:
    everything = {BASE: lambda weight: weight @ weight, **made}
    return {name: partial(_call, function, width, device) for name, function in everything.items()}


def _call(function: Callable[[Tensor], Tensor], width: int, device: torch.device) -> Call:
    weight = torch.randn(width, width, device=device) / width**0.5
    weight.requires_grad_()
    cotangent = torch.randn(width, width, device=device)

    def call() -> float:
        found = function(weight)
        torch.autograd.grad(found, weight, cotangent)
        return float(found.detach()[0, 0])

    return call
