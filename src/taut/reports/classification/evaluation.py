"""`evaluation.safetensors`: the held-out samples one by one, and the exact curve that their radii draw."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int

from taut.errors import UserError
from taut.reports.folder.tensors import read_tensors


@dataclass(frozen=True, kw_only=True)
class Pictures:
    """A few of the samples as pictures, with their places in the held-out split."""

    images: Float[np.ndarray, "pictures channels height width"]
    index: Int[np.ndarray, " pictures"]


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Per sample: the certified radius (0 where there is none), the margin, the label and the prediction."""

    radius: Float[np.ndarray, " samples"]
    margin: Float[np.ndarray, " samples"]
    label: Int[np.ndarray, " samples"]
    prediction: Int[np.ndarray, " samples"]
    survived: dict[float, Bool[np.ndarray, " samples"]]
    """By the size of the attack: whether the sample was still classified correctly."""
    most_certified: Pictures | None
    least_certified: Pictures | None

    @property
    def correct(self) -> Bool[np.ndarray, " samples"]:
        """Where the prediction is the label."""
        return self.label == self.prediction


def certified_fraction(radius: Float[np.ndarray, " samples"], eps: float) -> float:
    """Fraction of the samples whose certified radius is larger than `eps`.

    >>> certified_fraction(np.array([0.0, 0.5, 1.0, 2.0]), 0.5)
    0.5
    """
    return float(np.mean(radius > eps))


def certified_curve(
    radius: Float[np.ndarray, " samples"],
) -> tuple[Float[np.ndarray, " points"], Float[np.ndarray, " points"]]:
    """The corners (eps, fraction) of the exact curve: `fraction[k]` holds from eps[k] up to, not at, eps[k + 1].

    It has one corner for each different radius, so nothing is sampled or smoothed.

    >>> eps, fraction = certified_curve(np.array([0.0, 0.5, 1.0, 1.0]))
    >>> eps.tolist(), fraction.tolist()
    ([0.0, 0.5, 1.0], [0.75, 0.5, 0.0])
    """
    ordered = np.sort(radius)
    eps = np.unique(np.append(ordered[np.isfinite(ordered)], 0.0))
    larger = len(ordered) - np.searchsorted(ordered, eps, side="right")
    return eps, larger / max(len(ordered), 1)


def broken_certificates(evaluation: Evaluation) -> dict[float, int]:
    """By the size of the attack: how many samples it changed within their certified radius. Must be 0."""
    return {
        eps: int(np.sum((evaluation.radius > eps) & ~survived)) for eps, survived in sorted(evaluation.survived.items())
    }


def read_evaluation(path: Path) -> Evaluation:
    """Read and check `evaluation.safetensors`; a `UserError` says what is wrong with it."""
    tensors = read_tensors(path, required=("radius", "margin", "label", "prediction"))
    radius, margin = (tensors[name].astype(np.float64) for name in ("radius", "margin"))
    label, prediction = (tensors[name].astype(np.int64) for name in ("label", "prediction"))
    survived = {
        _attack_size(name, path): tensor.astype(bool)
        for name, tensor in tensors.items()
        if name.startswith("attacked_")
    }
    rows = [radius, margin, label, prediction, *survived.values()]
    if any(row.shape != radius.shape or row.ndim != 1 for row in rows):
        raise UserError(f"{path} is damaged: radius, margin, label and prediction must have one value per sample")
    if not (radius >= 0).all():
        raise UserError(f"{path} is damaged: every radius must be a number that is not negative")
    return Evaluation(
        radius=radius,
        margin=margin,
        label=label,
        prediction=prediction,
        survived=survived,
        most_certified=_pictures(tensors, "most_certified", len(radius), path),
        least_certified=_pictures(tensors, "least_certified", len(radius), path),
    )


def _attack_size(name: str, path: Path) -> float:
    try:
        return float(name.removeprefix("attacked_"))
    except ValueError as error:
        raise UserError(f"{path} is damaged: {name!r} does not end with the size of the attack") from error


def _pictures(tensors: dict[str, np.ndarray], name: str, samples: int, path: Path) -> Pictures | None:
    if name not in tensors:
        return None
    images, index = tensors[name], tensors.get(f"{name}_index")
    if index is None or images.ndim != 4 or index.shape != images.shape[:1] or np.any((index < 0) | (index >= samples)):
        raise UserError(f"{path} is damaged: {name} must be pictures with their places in {name}_index")
    return Pictures(images=images.astype(np.float32), index=index.astype(np.int64)) if len(images) else None
