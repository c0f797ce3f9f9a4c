"""Check a certificate against the model and the data: everything is computed again."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from taut.certify.certificates.certificate import Certificate, CertificateError
from taut.certify.certificates.hashing import data_hash, model_hash
from taut.certify.samples.robustness import SLACK, Assessment, assess
from taut.certify.samples.steps import steps_of


def verify(
    certificate: Certificate,
    model: nn.Module,
    inputs: Float[Tensor, "samples *shape"],
    labels: Int[Tensor, " samples"],
    *,
    batch_size: int = 1024,
) -> None:
    r"""Prove every claim of a certificate anew; return silently where all hold, else raise CertificateError.

    A radius is accepted if the radius proven here is at least as large, a constant if the one proven here is at most
    as large; so what is accepted has been proven twice, also on another machine. Claims that are needlessly weak, by
    more than the slack of a certificate, were not made by `robustness` on this model and are refused too.

    Raises CertificateError, naming the first thing that differs: weights, data, a label, a constant, a prediction, a
    margin, a radius.

    >>> import torch
    >>> from taut.certify import robustness
    >>> model, inputs, labels = torch.nn.Linear(2, 2), torch.ones(1, 2), torch.tensor([0])
    >>> verify(robustness(model, inputs, labels), model, inputs, labels)
    """
    _check_columns(certificate, inputs, labels)
    if data_hash(inputs) != certificate.data_hash:
        raise CertificateError("the inputs are not those of the certificate: their SHA-256 differs")
    if model_hash(steps_of(model)) != certificate.model_hash:
        raise CertificateError("the model is not that of the certificate: the SHA-256 of its weights differs")
    found = assess(model, inputs, labels, norm=certificate.norm, batch_size=batch_size)
    _check_constants(certificate, found)
    _check_predictions(certificate, found)
    _check_radii(certificate, found)


def _check_columns(certificate: Certificate, inputs: Tensor, labels: Tensor) -> None:
    sizes = {len(c) for c in (certificate.radius, certificate.margin, certificate.prediction, certificate.label)}
    if sizes != {len(inputs)} or len(labels) != len(inputs):
        raise CertificateError(
            f"the certificate is about {sorted(sizes)} samples; there are {len(inputs)} inputs and {len(labels)} labels"
        )
    wrong = _first(certificate.label != labels.cpu())
    if wrong is not None:
        raise CertificateError(
            f"the label of sample {wrong} is {int(labels[wrong])}, the certificate says {int(certificate.label[wrong])}"
        )


def _check_constants(certificate: Certificate, found: Assessment) -> None:
    steps = found.prepared.steps
    if [layer.name for layer in certificate.layers] != [step.name for step in steps]:
        raise CertificateError("the layers of the certificate are not those of the model")
    for layer, bound in zip(certificate.layers, found.prepared.bounds, strict=True):
        _check_constant(f"the constant of layer {layer.name!r}", layer.bound, bound.proof.bound)
    _check_constant("the Lipschitz bound of the network", certificate.lipschitz_bound, found.prepared.lipschitz_bound)


def _check_constant(what: str, stated: float, proven: float) -> None:
    if not proven <= stated <= proven * (1.0 + 4.0 * SLACK):
        raise CertificateError(f"{what} is proven to be {proven!r}, the certificate says {stated!r}")


def _check_predictions(certificate: Certificate, found: Assessment) -> None:
    far = (certificate.margin - found.margin).abs() > found.doubt
    wrong = _first(far | (certificate.margin.isnan() != found.margin.isnan()))
    if wrong is not None:
        stated, computed = float(certificate.margin[wrong]), float(found.margin[wrong])
        raise CertificateError(f"the margin of sample {wrong} is {computed!r}, the certificate says {stated!r}")
    # where the largest logits tie within rounding, another machine may name the other class
    settled = ~(found.margin.abs() <= found.doubt)
    wrong = _first((certificate.prediction != found.prediction) & settled)
    if wrong is not None:
        stated, computed = int(certificate.prediction[wrong]), int(found.prediction[wrong])
        raise CertificateError(f"the prediction of sample {wrong} is {computed}, the certificate says {stated}")


def _check_radii(certificate: Certificate, found: Assessment) -> None:
    holds = (certificate.radius >= found.least) & (certificate.radius <= found.proven)
    wrong = _first(~holds)  # NaN holds nowhere
    if wrong is not None:
        stated, proven = float(certificate.radius[wrong]), float(found.proven[wrong])
        raise CertificateError(
            f"the radius of sample {wrong} is proven up to {proven!r}, the certificate says {stated!r}"
        )


def _first(flags: Tensor) -> int | None:
    """Index of the first sample that is flagged."""
    where = torch.nonzero(flags)
    return int(where[0]) if len(where) else None
