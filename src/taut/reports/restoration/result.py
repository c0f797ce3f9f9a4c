"""`result.json` of a restoration: what was measured, which theorem holds, and how far each denoiser came."""

from dataclasses import dataclass
from pathlib import Path

from taut.files import read_json
from taut.reports.folder.fields import Fields
from taut.reports.folder.provenance import Provenance, read_provenance


@dataclass(frozen=True, kw_only=True)
class Quality:
    """Closeness to the picture that is known: peak signal-to-noise ratio in dB, and structural similarity."""

    psnr: float
    ssim: float


@dataclass(frozen=True, kw_only=True)
class Method:
    """One denoiser in the iteration: what is proven of it, and what was seen."""

    name: str
    strength: str
    """The noise level that it was used for, or its weight, in words."""
    lipschitz_bound: float | None
    """Proven l2 constant; None where there is none."""
    averaged: float | None
    inexact: bool
    """Whether the denoiser is itself an iteration that stops at a tolerance: then the residual may rise in the end."""
    holds: bool
    """Whether the conditions of the theorem hold for it."""
    promises: bool
    """Whether the theorem says that the residual never rises."""
    theorem: str
    verdict: str
    """In words: why it converges, or which condition fails."""
    steps: int
    """Iterations carried out."""
    increases: int
    """Of the residual from one iteration to the next, beyond rounding."""
    largest_increase: float
    """As a factor; 1 where there is none."""
    rounding: float
    """What a residual may rise by without a rise being counted, at most."""
    diverged: bool
    """Whether the iterates left the numbers that float32 can hold, or all reason."""
    first: float
    last: float
    """Of the residuals."""
    quality: Quality | None
    """None where no truth is known, or where it diverged."""

    @property
    def monotone(self) -> bool:
        """Whether the residual never rose beyond rounding."""
        return self.increases == 0 and not self.diverged


@dataclass(frozen=True, kw_only=True)
class Result:
    """The numbers of a finished restoration."""

    image: str
    shape: tuple[int, int, int]
    bits: int
    notes: list[str]
    measured: bool
    """Whether the picture is itself the measurement, so that there is no truth to compare with."""
    operator: str
    operator_description: str
    operator_norm_bound: float
    sigma_noise: float | None
    algorithm: str
    algorithm_description: str
    step_size: float
    start: Quality | None
    denoiser: Method
    beside: Method | None
    provenance: Provenance


def read_result(path: Path) -> Result:
    """Read and check `result.json`; a `UserError` names the field that is missing or wrong."""
    fields = Fields(read_json(path), path)
    image, operator, algorithm = fields.inner("image"), fields.inner("operator"), fields.inner("algorithm")
    channels, height, width = (int(side) for side in image.numbers("shape", length=3))
    return Result(
        image=image.text("name"),
        shape=(channels, height, width),
        bits=image.count("bits"),
        notes=[str(note) for note in image.sequence("notes")],
        measured=_flag(fields, "measured"),
        operator=operator.text("name"),
        operator_description=operator.text("description"),
        operator_norm_bound=operator.number("norm_bound"),
        sigma_noise=operator.optional_number("sigma_noise"),
        algorithm=algorithm.text("name"),
        algorithm_description=algorithm.text("description"),
        step_size=algorithm.number("step_size"),
        start=_read_quality(fields, "start"),
        denoiser=_read_method(fields.inner("denoiser")),
        beside=None if fields.values.get("beside") is None else _read_method(fields.inner("beside")),
        provenance=read_provenance(fields),
    )


def _read_method(fields: Fields) -> Method:
    check, residual = fields.inner("check"), fields.inner("residual")
    return Method(
        name=fields.text("name"),
        strength=fields.text("strength"),
        lipschitz_bound=fields.optional_number("lipschitz_bound"),
        averaged=fields.optional_number("averaged"),
        inexact=_flag(fields, "inexact"),
        holds=_flag(check, "holds"),
        promises=_flag(check, "monotone"),
        theorem=check.text("theorem"),
        verdict=check.text("verdict"),
        steps=residual.count("steps"),
        increases=residual.count("increases"),
        largest_increase=residual.number("largest_increase"),
        rounding=residual.number("rounding"),
        diverged=_flag(residual, "diverged"),
        first=residual.number("first"),
        last=residual.number("last"),
        quality=_read_quality(fields, "quality"),
    )


def _read_quality(fields: Fields, name: str) -> Quality | None:
    if fields.values.get(name) is None:
        return None
    inner = fields.inner(name)
    return Quality(psnr=inner.number("psnr"), ssim=inner.number("ssim"))


def _flag(fields: Fields, name: str) -> bool:
    value = fields.values.get(name)
    if not isinstance(value, bool):
        raise fields.wrong(name, "true or false", value)
    return value
