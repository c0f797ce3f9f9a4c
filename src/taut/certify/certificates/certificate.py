"""The certificate of a classifier on given samples: what is claimed, and the file that keeps it."""

import hashlib
import json
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from taut.certify.breakdown import Norm, checked_norm
from taut.certify.program.encoding import canonical
from taut.certify.samples.arithmetic import FLOAT64, Arithmetic
from taut.certify.samples.claims import Claim, Question
from taut.errors import UserError
from taut.files import write_bytes

FORMAT, FORMAT_VERSION = "taut certificate", 2
_SEAL = "sha256"


class CertificateError(UserError):
    """A certificate that cannot be read, or that does not hold for the model and data it is checked against."""


@dataclass(frozen=True, kw_only=True)
class LayerConstant:
    """The proven constant of one operation of the network."""

    node: int
    """Place among the operations, from 1 on."""
    name: str
    """Path of the module, or the call of a function."""
    op: str
    """The operation; see docs/file_formats.md."""
    bound: float | None
    """Upper bound of its Lipschitz constant; None where it has several inputs."""
    method: str
    """How it was proved."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Certificate:
    """Radii within which what a network computes cannot change, sample by sample; made by `robustness`."""

    norm: Norm
    """Norm of the radii: "l2" or "linf"."""
    claim: Claim = "class"
    """What holds within a radius: "class", "top_k" or "sign"."""
    k: int = 1
    """Of "top_k"."""
    threshold: float = 0.0
    """Of "sign"."""
    arithmetic: Arithmetic = FLOAT64
    """The arithmetic in which it holds."""
    lipschitz_bound: float
    """Upper bound of the whole network's Lipschitz constant, made of the constants of `layers`."""
    radius: Float[Tensor, " samples"]
    """Proven radius in input units; 0 where misclassified, tied or not finite. It is 1.5e-8 below the largest that
    was proven, relatively, so that a machine that rounds in another order proves it too."""
    margin: Float[Tensor, " samples"]
    """How far the claim is from failing at the sample itself, computed: the logit of the label less the largest other
    one (the k-th largest; the distance to the threshold); NaN where the output is not finite."""
    prediction: Int[Tensor, " samples"]
    """Computed class; -1 where the logits are not finite."""
    label: Int[Tensor, " samples"]
    """Class of the sample."""
    layers: tuple[LayerConstant, ...]
    """Constants that make up the bound."""
    model_hash: str
    """SHA-256 of the operations and the weights."""
    data_hash: str
    """SHA-256 of the inputs."""
    versions: dict[str, str]
    """Versions of taut, torch, numpy and python that made it."""

    @property
    def accuracy(self) -> float:
        """Share of samples for which the claim holds at the sample itself, as computed."""
        holds = self.prediction == self.label if self.claim == "class" else self.margin > 0.0
        return float(holds.double().mean())

    def certified_accuracy(self, eps: float) -> float:
        """Share of samples whose radius is larger than eps (input units): correct within the whole closed ball."""
        if not eps >= 0.0:
            raise ValueError(f"eps must be >= 0, got {eps}")
        return float((self.radius > eps).double().mean())

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write JSON, whole or not at all; floats keep every bit."""
        text = json.dumps(self.to_dict(), indent=1, allow_nan=False) + "\n"
        write_bytes(Path(path), text.encode())

    def to_dict(self) -> dict[str, Any]:
        """What `save` writes."""
        content = _to_json(self)
        return {**content, _SEAL: hashlib.sha256(canonical(content)).hexdigest()}

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "Certificate":
        """Read a certificate. CertificateError for a missing, damaged or changed file, or one of another version."""
        try:
            content = json.loads(Path(path).read_text(encoding="utf-8"))
        except OSError as error:
            raise CertificateError(f"cannot read certificate {path}: {error.strerror}") from error
        except (ValueError, RecursionError) as error:
            raise CertificateError(f"{path} is not a certificate, or is damaged: {error}") from error
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise CertificateError(f"{path} is not a certificate of taut")
        if content.get("format_version") != FORMAT_VERSION:
            found = content.get("format_version")
            raise CertificateError(f"{path} has format version {found!r}; this program reads {FORMAT_VERSION}")
        if content.pop(_SEAL, None) != hashlib.sha256(canonical(content)).hexdigest():
            raise CertificateError(f"{path} is damaged: its content does not match its checksum")
        try:
            return _from_json(content)
        except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
            raise CertificateError(f"{path} is damaged: {type(error).__name__}: {error}") from error


def _to_json(certificate: Certificate) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "norm": certificate.norm,
        "claim": certificate.claim,
        "k": certificate.k,
        "threshold": certificate.threshold,
        "arithmetic": {**vars(certificate.arithmetic)},
        "lipschitz_bound": _number(certificate.lipschitz_bound),
        "layers": [
            vars(layer) | {"bound": None if layer.bound is None else _number(layer.bound)}
            for layer in certificate.layers
        ],
        "model_hash": certificate.model_hash,
        "data_hash": certificate.data_hash,
        "versions": certificate.versions,
        "label": certificate.label.tolist(),
        "prediction": certificate.prediction.tolist(),
        "margin": [_number(value) for value in certificate.margin.tolist()],
        "radius": [_number(value) for value in certificate.radius.tolist()],
    }


def _from_json(content: dict[str, Any]) -> Certificate:
    columns: dict[str, Tensor] = {}
    for name in ("radius", "margin"):
        columns[name] = torch.tensor([float(value) for value in content[name]], dtype=torch.float64)
    for name in ("prediction", "label"):
        columns[name] = torch.tensor([int(value) for value in content[name]], dtype=torch.int64)
    question = Question(claim=content["claim"], k=int(content["k"]), threshold=float(content["threshold"]))
    sizes = {name: len(column) for name, column in columns.items()}
    if len(set(sizes.values())) != 1:
        raise ValueError(f"columns of different lengths {sizes}")
    return Certificate(
        norm=checked_norm(content["norm"]),
        claim=question.claim,
        k=question.k,
        threshold=question.threshold,
        arithmetic=Arithmetic(**content["arithmetic"]),
        lipschitz_bound=float(content["lipschitz_bound"]),
        layers=tuple(
            LayerConstant(**{**row, "bound": None if row["bound"] is None else float(row["bound"])})
            for row in content["layers"]
        ),
        model_hash=str(content["model_hash"]),
        data_hash=str(content["data_hash"]),
        versions={str(name): str(version) for name, version in content["versions"].items()},
        **columns,
    )


def _number(value: float) -> float | str:
    """JSON has no NaN or infinity; they become text, which `float` reads. Others are written with all their digits."""
    return value if math.isfinite(value) else str(value)
