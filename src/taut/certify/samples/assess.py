"""Everything that is computed of samples: margins, predictions, radii; batch by batch, on the CPU or another device."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from taut.certify.breakdown import Norm, checked_norm
from taut.certify.lowering.graph import lower
from taut.certify.norms.spectral import Proof
from taut.certify.program.program import Program
from taut.certify.rounding import gradual_underflow, mul_up
from taut.certify.rules.module_rules import is_scaled_sequential
from taut.certify.samples.arithmetic import Arithmetic, arithmetic_of, refuse_unfit
from taut.certify.samples.claims import Examiner, Question
from taut.certify.samples.forward import Analysis, prove
from taut.nn import fold

SLACK = 2.0**-26
"""What a certificate gives away, relative to what was proven here, so that another machine can prove it too."""

_COLUMNS = ("margin", "prediction", "proven", "published")


@dataclass(frozen=True, kw_only=True, eq=False)
class Prepared:
    """A network made ready: each weight read once, each constant proven once."""

    program: Program
    proofs: tuple[Proof | None, ...]
    bounds: tuple[float | None, ...]
    """The constants as they are stated, and used: those that were computed from weights with a slack."""
    analysis: Analysis

    @property
    def norm(self) -> Norm:
        return self.analysis.norm

    @property
    def arithmetic(self) -> Arithmetic:
        return self.analysis.arithmetic

    @property
    def lipschitz_bound(self) -> float:
        """Of the whole network, from the stated constants."""
        return self.analysis.lipschitz_bound


@dataclass(frozen=True, kw_only=True, eq=False)
class Assessment:
    """All that was computed for the samples."""

    prepared: Prepared
    margin: Float[Tensor, " samples"]
    prediction: Int[Tensor, " samples"]
    proven: Float[Tensor, " samples"]
    """The radius that is proven here."""
    published: Float[Tensor, " samples"]
    """The slightly smaller one that a certificate states, provable wherever sums are ordered differently."""


def prepare(program: Program, norm: Norm, arithmetic: Arithmetic) -> Prepared:
    """Prove the constants."""
    refuse_unfit(arithmetic, program)
    proofs = prove(program, norm)
    bounds = tuple(
        None if proof is None else _stated(proof, node.operation.measured)
        for proof, node in zip(proofs, program.nodes, strict=True)
    )
    analysis = Analysis(program, bounds, norm, arithmetic)
    return Prepared(program=program, proofs=proofs, bounds=bounds, analysis=analysis)


def _stated(proof: Proof, measured: bool) -> float:
    return mul_up(proof.bound, 1.0 + SLACK) if measured else proof.bound


@gradual_underflow()
@torch.no_grad()
def assess(
    model: nn.Module | Program,
    inputs: Float[Tensor, "samples *shape"],
    labels: Int[Tensor, " samples"],
    *,
    norm: str,
    question: Question | None = None,
    arithmetic: str = "float64",
    batch_size: int = 1024,
    device: torch.device | str = "cpu",
    progress: Callable[[int, int], None] | None = None,
) -> Assessment:
    """Everything that `robustness` states."""
    checked = checked_norm(norm)
    check_samples(inputs, labels, batch_size)
    with plain_float64():
        program = model if isinstance(model, Program) else lower(model, tuple(inputs.shape[1:]))
        prepared = prepare(program, checked, arithmetic_of(arithmetic))
        if not isinstance(model, Program):
            check_program(model, prepared, inputs[:32])
        moved = Analysis(program.to(device), prepared.bounds, checked, prepared.arithmetic)
        examiner = Examiner(moved, question or Question())
        labels = labels.detach().cpu().to(torch.int64)
        outside = labels[(labels < 0) | (labels >= examiner.classes)]
        if len(outside):
            raise ValueError(f"labels must be in 0..{examiner.classes - 1}, got {int(outside[0])}")
        batches = []
        for first in range(0, len(inputs), batch_size):
            rows = slice(first, first + batch_size)
            x = inputs[rows].detach().to(device, torch.float64)
            batches.append(_assess_batch(examiner, x, labels[rows].to(device)))
            if progress is not None:
                progress(min(first + batch_size, len(inputs)), len(inputs))
    columns = {name: torch.cat([batch[name].cpu() for batch in batches]) for name in _COLUMNS}
    return Assessment(prepared=prepared, **columns)


def _assess_batch(examiner: Examiner, x: Tensor, labels: Tensor) -> dict[str, Tensor]:
    found = examiner.margins(x, labels)
    finite = torch.isfinite(found.logits).all(dim=1) & torch.isfinite(x).reshape(len(x), -1).all(dim=1)
    radius = {  # two evaluations differ by less than one `errors`, so the published one is below that of any machine
        "proven": examiner.radii(found),
        "published": examiner.radii(found, errors=3.0, slack=SLACK),
    }
    return {
        "margin": torch.where(finite, examiner.margin(found), torch.nan),
        "prediction": torch.where(finite, examiner.predictions(found), -1),
        **{name: torch.where(finite, value, 0.0) for name, value in radius.items()},
    }


def check_program(model: nn.Module, prepared: Prepared, inputs: Float[Tensor, "few *shape"]) -> None:
    """RuntimeError where the program computes something else than the model itself, in float64, beyond rounding.

    Both are made from the same weights by different code; nothing in the proof needs this check. Folding rounds the
    weights that it multiplies by the factor of a Sequential, so that such models are only equal up to that.
    """
    x = inputs.detach().cpu().to(torch.float64)
    state = prepared.analysis.output(x)
    allowed = 2.0 * state.error
    if any(is_scaled_sequential(module) for module in model.modules()):
        rounded = Analysis(prepared.program, prepared.bounds, prepared.norm, arithmetic_of("float32"))
        allowed = allowed + 2.0 * rounded.output(x).ball_error
    run = fold(model).cpu().double()(x)
    gap = (run.reshape(state.values.shape) - state.values).reshape(len(x), -1)
    away = gap.abs().amax(dim=1)  # no more than either norm
    wrong = (away > allowed) & torch.isfinite(allowed)
    if bool(wrong.any()):
        raise RuntimeError(
            f"the network as it is certified and as torch runs it differ by {float(away[wrong][0]):.3g}, beyond "
            "rounding: this is an error in taut, please report it"
        )


@contextmanager
def plain_float64() -> Iterator[None]:
    """Whatever a caller has switched on: no autocast, and no convolutions by transforms."""
    with ExitStack() as stack:
        for kind in ("cpu", "cuda"):
            stack.enter_context(torch.autocast(kind, enabled=False))
        stack.enter_context(torch.backends.cudnn.flags(enabled=False))
        yield


def check_samples(inputs: Tensor, labels: Tensor, batch_size: int) -> None:
    """TypeError and ValueError for what cannot be samples and their labels."""
    if inputs.dtype not in (torch.float32, torch.float64):
        raise TypeError(f"inputs must be float32 or float64, got {inputs.dtype}")
    if labels.is_floating_point() or labels.dtype == torch.bool:
        raise TypeError(f"labels must be integers, got {labels.dtype}")
    if labels.ndim != 1 or inputs.ndim < 2 or len(inputs) != len(labels) or len(inputs) == 0:
        shapes = f"{tuple(inputs.shape)} and {tuple(labels.shape)}"
        raise ValueError(f"inputs (samples, ...) and labels (samples,) must have the same length >= 1, got {shapes}")
    if batch_size < 1:
        raise ValueError(f"batch_size must be >= 1, got {batch_size}")
