"""The files of a full evaluation, read and checked."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from taut.errors import UserError
from taut.files import read_json
from taut.reports.classification import evaluation as classification
from taut.reports.folder.fields import Fields
from taut.reports.folder.provenance import Provenance, read_provenance
from taut.reports.folder.tensors import read_tensors

_OBJECTS = ("lipschitz", "test", "train", "distance", "nearest", "certified", "attacked", "attack")
_ROWS = ("units", "per_class")
_PER_SAMPLE = ("label", "prediction", "margin")
_WITH_GRADIENTS = ("attacked_distance", "first_order_estimate", "second_order_estimate", "jacobian_norm")


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What RUN/evaluation/ holds."""

    path: Path
    figures: dict[str, Any]
    """`result.json`."""
    tensors: dict[str, np.ndarray]
    """`evaluation.safetensors`."""
    provenance: Provenance

    @property
    def norm(self) -> str:
        return str(self.figures["norm"])

    @property
    def radius(self) -> np.ndarray | None:
        """Certified radii; None for a network without a certificate."""
        return self.tensors.get("radius")

    @property
    def samples(self) -> classification.Evaluation:
        """The samples as the page of the run has them."""
        label = self.tensors["label"]
        radius = self.radius
        return classification.Evaluation(
            radius=np.zeros(len(label)) if radius is None else radius,
            margin=self.tensors["margin"],
            label=label,
            prediction=self.tensors["prediction"],
            survived={},
            most_certified=None,
            least_certified=None,
        )


def read_evaluation(path: Path) -> Evaluation:
    """Read the folder; a `UserError` names what is missing or damaged."""
    if not (path / "result.json").is_file():
        raise UserError(f"{path} has no result.json: make it with taut evaluate RUN --full")
    figures = read_json(path / "result.json")
    fields = Fields(figures, path / "result.json")
    for name in ("dataset", "norm", "loss_name"):
        fields.text(name)
    if figures["norm"] not in ("l2", "linf"):
        raise fields.wrong("norm", '"l2" or "linf"', figures["norm"])
    for name in ("samples", "gradient_samples"):
        fields.count(name)
    for name in _OBJECTS:
        fields.mapping(name)
    for name in _ROWS:
        fields.rows(name)
    tensors = read_tensors(
        path / "evaluation.safetensors", required=(*_PER_SAMPLE, "confusion", *_WITH_GRADIENTS, "closest_distance")
    )
    with_radius = ("radius",) if "radius" in tensors else ()
    sizes = (("samples", _PER_SAMPLE + with_radius), ("gradient_samples", _WITH_GRADIENTS))
    for name, rows in sizes:
        wrong = [row for row in rows if tensors[row].shape != (figures[name],)]
        if wrong:
            raise UserError(
                f"{path / 'evaluation.safetensors'} is damaged: {wrong[0]} must have {figures[name]} values"
            )
    return Evaluation(path=path, figures=figures, tensors=tensors, provenance=read_provenance(fields))
