"""`result.json` of a denoising run: what each method reaches on each held-out set, and what is proven."""

from dataclasses import dataclass
from pathlib import Path

from taut.files import read_json
from taut.reports.folder.fields import Fields
from taut.reports.folder.layers import Layer, read_layers
from taut.reports.folder.provenance import Provenance, read_provenance

METHODS = {
    "noisy": "noisy",
    "tv": "total variation",
    "denoiser": "denoiser",
    "unconstrained": "unconstrained net",
}
"""By their name in the files."""


@dataclass(frozen=True, kw_only=True)
class Scores:
    """Means over the pictures of a set."""

    psnr: float
    ssim: float


@dataclass(frozen=True, kw_only=True)
class TestSet:
    """What was reached on one held-out set."""

    images: int
    titles: list[str]
    scores: dict[str, Scores]
    """By method; without "unconstrained" where no such net was trained."""
    tv_weight: float

    def gap(self, other: str) -> float | None:
        """PSNR of the denoiser less that of another method, in dB; None where that was not measured."""
        return self.scores["denoiser"].psnr - self.scores[other].psnr if other in self.scores else None


@dataclass(frozen=True, kw_only=True)
class Result:
    """The numbers of a finished run."""

    dataset: str
    train_images: int | None
    sigma: float
    """In units of 1/255."""
    averaging: float
    convolution: str
    activation: str
    network_bound: float
    lipschitz_bound: float
    averaged: float | None
    unconstrained_bound: float | None
    sets: dict[str, TestSet]
    layers: list[Layer]
    parameters: int
    provenance: Provenance

    @property
    def methods(self) -> list[str]:
        """Those measured on any set, in the order of the table."""
        return [method for method in METHODS if any(method in found.scores for found in self.sets.values())]


def read_result(path: Path) -> Result:
    """Read and check `result.json`; a `UserError` names the field that is missing or wrong."""
    fields = Fields(read_json(path), path)
    sets = fields.inner("sets")
    return Result(
        dataset=fields.text("dataset"),
        train_images=fields.optional_count("train_images"),
        sigma=fields.number("sigma"),
        averaging=fields.number("averaging"),
        convolution=fields.text("convolution"),
        activation=fields.text("activation"),
        network_bound=fields.number("network_bound"),
        lipschitz_bound=fields.number("lipschitz_bound"),
        averaged=fields.optional_number("averaged"),
        unconstrained_bound=fields.optional_number("unconstrained_bound"),
        sets={name: _read_set(sets.inner(name)) for name in sets.values},
        layers=read_layers(fields),
        parameters=fields.count("parameters"),
        provenance=read_provenance(fields),
    )


def _read_set(fields: Fields) -> TestSet:
    read = {method: fields.inner(method) for method in METHODS}
    required = {method: found for method, found in read.items() if found.values or method != "unconstrained"}
    return TestSet(
        images=fields.count("images"),
        titles=[str(title) for title in fields.sequence("titles")],
        scores={
            method: Scores(psnr=found.number("psnr"), ssim=found.number("ssim")) for method, found in required.items()
        },
        tv_weight=read["tv"].number("weight"),
    )
