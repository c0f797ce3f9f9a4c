r"""Regression: the interval of every output over a ball around the input.

With X_i the output computed in float64 and `head` bounding how it can be off, every x' with ||x' - x|| <= rho has, in
the certified arithmetic, |f_i(x') - X_i| <= err_i + slope_i rho; see `head` for both.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from taut.certify.breakdown import Norm, checked_norm
from taut.certify.lowering.graph import lower
from taut.certify.rounding import gradual_underflow, inflate
from taut.certify.samples.arithmetic import Arithmetic, arithmetic_of
from taut.certify.samples.assess import check_program, plain_float64, prepare
from taut.certify.samples.forward import Analysis
from taut.certify.samples.head import Head, head_of, moves_of, own_norms


@dataclass(frozen=True, kw_only=True, eq=False)
class OutputInterval:
    """Proven ends of every output over the closed ball of radius `eps` around each sample, in `norm`."""

    lower: Float[Tensor, "samples *out"]
    """-infinity where nothing is proven."""
    upper: Float[Tensor, "samples *out"]
    prediction: Float[Tensor, "samples *out"]
    """The output at the sample itself, computed in float64."""
    eps: Float[Tensor, " samples"]
    """In the units of the inputs."""
    norm: Norm
    arithmetic: Arithmetic
    """Of the network whose outputs these are."""
    lipschitz_bound: float
    """Of the whole network."""


@gradual_underflow()
@torch.no_grad()
def output_interval(
    model: nn.Module,
    inputs: Float[Tensor, "samples *shape"],
    *,
    eps: float | int | Float[Tensor, " samples"],
    norm: str = "l2",
    arithmetic: str = "float64",
    batch_size: int = 1024,
    device: torch.device | str = "cpu",
    progress: Callable[[int, int], None] | None = None,
) -> OutputInterval:
    r"""Proven interval of every output for all inputs within `eps` of a sample in `norm` ("l2" or "linf").

    It holds for the network in `arithmetic` (see `robustness`), rounding included, and is rounded outward. Outputs of a
    last linear layer are bounded one by one, by ||w_i|| P eps with P the constant of all before it and w_i the row (in
    linf its l1 norm); those of other networks by the constant of the whole. `eps` is one radius, or one per sample.
    The model and `progress` are as in `robustness`; outputs can have any shape. The interval is infinite where nothing
    is proven: inputs that are not finite, or results that might overflow.

    Raises TypeError that names a module or function which cannot be certified, and for other dtypes; ValueError for
    `eps` that is negative or NaN, sizes that do not fit, NaN or infinite weights, unknown options.

    >>> import torch
    >>> model = torch.nn.Linear(2, 1, bias=False)
    >>> _ = torch.nn.init.ones_(model.weight)
    >>> found = output_interval(model, torch.tensor([[1.0, 2.0]]), eps=0.5, norm="linf")
    >>> 1.99999 < float(found.lower) < 2.0 and 4.0 < float(found.upper) < 4.00001  # 3, give or take 0.5 + 0.5
    True
    """
    checked = checked_norm(norm)
    _check_inputs(inputs, batch_size)
    radii = _radii(eps, len(inputs))
    with plain_float64():
        prepared = prepare(lower(model, tuple(inputs.shape[1:])), checked, arithmetic_of(arithmetic))
        check_program(model, prepared, inputs[:32])
        analysis = Analysis(prepared.program.to(device), prepared.bounds, checked, prepared.arithmetic)
        head = head_of(analysis.program)
        batches = []
        for first in range(0, len(inputs), batch_size):
            rows = slice(first, first + batch_size)
            x = inputs[rows].detach().to(device, torch.float64)
            batches.append([part.cpu() for part in _ends(analysis, head, x, radii[rows].to(device))])
            if progress is not None:
                progress(min(first + batch_size, len(inputs)), len(inputs))
    low, high, prediction = (torch.cat(parts) for parts in zip(*batches, strict=True))
    return OutputInterval(
        lower=low,
        upper=high,
        prediction=prediction,
        eps=radii,
        norm=checked,
        arithmetic=prepared.arithmetic,
        lipschitz_bound=prepared.lipschitz_bound,
    )


def _ends(analysis: Analysis, head: Head | None, x: Tensor, radii: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Lower ends, upper ends, and the outputs in the middle."""
    weights = None if head is None else own_norms(head, analysis.norm)[None]
    moves = moves_of(analysis, head, x, weights, pairs=False)
    values = moves.logits.reshape(len(x), -1)
    finite = torch.isfinite(values).all(dim=1) & torch.isfinite(x).reshape(len(x), -1).all(dim=1)
    proven = (finite & (radii <= moves.farthest))[:, None]
    room = torch.where(proven, inflate(moves.errors + moves.slopes * radii[:, None]), math.inf)
    nearest = torch.where(proven, values, 0.0)
    infinity = torch.full_like(values, math.inf)
    ends = torch.nextafter(nearest - room, -infinity), torch.nextafter(nearest + room, infinity)
    return ends[0].reshape(moves.logits.shape), ends[1].reshape(moves.logits.shape), moves.logits


def _radii(eps: float | int | Tensor, samples: int) -> Tensor:
    """One radius for each sample, as exact float64 numbers on the CPU."""
    if not isinstance(eps, Tensor):
        eps = torch.full((samples,), float(eps), dtype=torch.float64)
    if not eps.is_floating_point() or tuple(eps.shape) != (samples,):
        what = f"{eps.dtype} of shape {tuple(eps.shape)}"
        raise ValueError(f"eps must be a number, or floats of shape ({samples},), one for each sample, got {what}")
    wrong = eps[~(eps >= 0)]
    if len(wrong):
        raise ValueError(f"eps must be >= 0, got {float(wrong[0])}")
    return eps.detach().cpu().to(torch.float64)


def _check_inputs(inputs: Tensor, batch_size: int) -> None:
    if inputs.dtype not in (torch.float32, torch.float64):
        raise TypeError(f"inputs must be float32 or float64, got {inputs.dtype}")
    if inputs.ndim < 2 or len(inputs) == 0:
        raise ValueError(f"inputs must be (samples >= 1, ...), got shape {tuple(inputs.shape)}")
    if batch_size < 1:
        raise ValueError(f"batch_size must be >= 1, got {batch_size}")
