"""Certify a classifier on given samples."""

import platform
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata

import numpy
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from taut.certify.breakdown import checked_norm
from taut.certify.certificates.certificate import Certificate, LayerConstant
from taut.certify.certificates.hashing import data_hash, model_hash
from taut.certify.rounding import gradual_underflow, mul_up
from taut.certify.samples.forward import StepBound
from taut.certify.samples.radius import Prepared, margins, prepare, radii
from taut.certify.samples.steps import Affine, Step

SLACK = 2.0**-26
"""What a certificate gives away, relative to what was proven here, so that another machine can prove it too."""

_COLUMNS = ("margin", "prediction", "proven", "published", "least", "doubt")


@dataclass(frozen=True, kw_only=True, eq=False)
class Assessment:
    """All that was computed for the samples, without the slack of a certificate."""

    prepared: Prepared
    margin: Float[Tensor, " samples"]
    prediction: Int[Tensor, " samples"]
    proven: Float[Tensor, " samples"]
    """The radius that is proven here."""
    published: Float[Tensor, " samples"]
    """The slightly smaller one that a certificate states, provable wherever sums are ordered differently."""
    least: Float[Tensor, " samples"]
    """A still smaller one: below it a stated radius is none that this model and these data gave."""
    doubt: Float[Tensor, " samples"]
    """How far two float64 evaluations of a margin can lie apart."""


def robustness(
    model: nn.Module,
    inputs: Float[Tensor, "samples *shape"],
    labels: Int[Tensor, " samples"],
    *,
    norm: str = "l2",
    batch_size: int = 1024,
    progress: Callable[[int, int], None] | None = None,
) -> Certificate:
    r"""Certified radius of each sample in `norm` ("l2" or "linf"), sound in floating point; see `radius` for the proof.

    The model is a Linear or (nested) Sequentials of Linear, layers of distances, sort-type activations, ReLU, Abs,
    Flatten, Identity and factors, folded or not; what is certified is its float64 evaluation with the weights as they
    are now. Inputs are float32 or float64, read exactly; radii are in their units. A sample that is misclassified, tied
    or not finite has radius 0. Radii are below what is proven here, by 1.5e-8 relatively and by what a margin can
    differ where sums are ordered otherwise, so that any machine can verify them.

    `progress` is called with (samples done, samples in all) after each batch.

    Raises TypeError that names a module which cannot be certified, and for other dtypes; ValueError for labels outside
    the classes, sizes that do not fit, less than two classes, NaN or infinite weights.

    >>> import torch
    >>> model = torch.nn.Linear(2, 2, bias=False)
    >>> with torch.no_grad():
    ...     _ = model.weight.copy_(torch.eye(2))
    >>> certificate = robustness(model, torch.tensor([[3.0, 1.0]]), torch.tensor([0]))
    >>> 1.414213 < float(certificate.radius[0]) < 2**0.5  # margin 2 over ||(1, -1)||
    True
    """
    found = assess(model, inputs, labels, norm=norm, batch_size=batch_size, progress=progress)
    return Certificate(
        norm=found.prepared.norm,
        lipschitz_bound=mul_up(found.prepared.lipschitz_bound, 1.0 + SLACK),
        radius=found.published,
        margin=found.margin,
        prediction=found.prediction,
        label=labels.detach().cpu().to(torch.int64),
        layers=tuple(map(_layer, found.prepared.steps, found.prepared.bounds)),
        model_hash=model_hash(found.prepared.steps),
        data_hash=data_hash(inputs),
        versions=_versions(),
    )


def _layer(step: Step, bound: StepBound) -> LayerConstant:
    """A constant as a certificate states it: with slack where it was computed from a weight."""
    stated = mul_up(bound.proof.bound, 1.0 + SLACK) if isinstance(step, Affine) else bound.proof.bound
    return LayerConstant(name=step.name, kind=step.kind, bound=stated, method=bound.proof.method)


@gradual_underflow()
@torch.no_grad()
def assess(
    model: nn.Module,
    inputs: Float[Tensor, "samples *shape"],
    labels: Int[Tensor, " samples"],
    *,
    norm: str,
    batch_size: int = 1024,
    progress: Callable[[int, int], None] | None = None,
) -> Assessment:
    """Everything that `robustness` states and `verify` compares."""
    checked = checked_norm(norm)
    _check_samples(inputs, labels, batch_size)
    prepared = prepare(model, checked)
    labels = labels.detach().cpu().to(torch.int64)
    batches = []
    for first in range(0, len(inputs), batch_size):
        rows = slice(first, first + batch_size)
        batches.append(_assess_batch(prepared, inputs[rows], labels[rows]))
        if progress is not None:
            progress(min(first + batch_size, len(inputs)), len(inputs))
    columns = {name: torch.cat([batch[name] for batch in batches]) for name in _COLUMNS}
    return Assessment(prepared=prepared, **columns)


def _assess_batch(prepared: Prepared, inputs: Tensor, labels: Tensor) -> dict[str, Tensor]:
    found = margins(prepared, inputs, labels)
    finite = torch.isfinite(found.logits).all(dim=1)
    finite &= torch.isfinite(inputs.detach().cpu()).reshape(len(inputs), -1).all(dim=1)
    margin = torch.where(finite, found.margins.amin(dim=1), torch.nan)
    radius = {  # two evaluations differ by less than one `errors`, so each of these is below the former on any machine
        "proven": radii(found),
        "published": radii(found, errors=3.0, slack=SLACK),
        "least": radii(found, errors=5.0, slack=4.0 * SLACK),
    }
    return {
        "margin": margin,
        "prediction": torch.where(finite, found.logits.argmax(dim=1), -1),
        "doubt": 2.0 * found.errors.amax(dim=1),
        **{name: torch.where(finite, value, 0.0) for name, value in radius.items()},
    }


def _check_samples(inputs: Tensor, labels: Tensor, batch_size: int) -> None:
    if inputs.dtype not in (torch.float32, torch.float64):
        raise TypeError(f"inputs must be float32 or float64, got {inputs.dtype}")
    if labels.is_floating_point() or labels.dtype == torch.bool:
        raise TypeError(f"labels must be integers, got {labels.dtype}")
    if labels.ndim != 1 or inputs.ndim < 2 or len(inputs) != len(labels) or len(inputs) == 0:
        shapes = f"{tuple(inputs.shape)} and {tuple(labels.shape)}"
        raise ValueError(f"inputs (samples, ...) and labels (samples,) must have the same length >= 1, got {shapes}")
    if batch_size < 1:
        raise ValueError(f"batch_size must be >= 1, got {batch_size}")


def _versions() -> dict[str, str]:
    return {
        "taut": metadata.version("taut"),
        "torch": torch.__version__,
        "numpy": numpy.__version__,
        "python": platform.python_version(),
    }
