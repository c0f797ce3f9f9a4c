"""Check a certificate against the model and the data, by the second implementation: `taut.verifier`, in numpy alone."""

import json

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from taut import verifier
from taut.certify.certificates.certificate import Certificate, CertificateError
from taut.certify.lowering.graph import lower
from taut.certify.program.encoding import NAMES, canonical, program_json, program_tensors
from taut.certify.program.program import Program
from taut.certify.rounding import gradual_underflow
from taut.certify.samples.assess import check_samples, plain_float64


@gradual_underflow()
def verify(
    certificate: Certificate,
    model: nn.Module | Program,
    inputs: Float[Tensor, "samples *shape"],
    labels: Int[Tensor, " samples"],
) -> None:
    r"""Prove every claim of a certificate anew; return silently where all hold, else raise CertificateError.

    `taut.verifier` does it: a second implementation, in numpy, which shares no code with the one that made the
    certificate. A radius is accepted if the radius proven there is at least as large, a constant if it is proven there;
    so what is accepted has been proven twice, also on another machine. Radii that are needlessly small were not made by
    `robustness` on this model and are refused too.

    Raises CertificateError, naming the first thing that differs: weights, data, a label, a constant, a prediction, a
    margin, a radius.

    >>> import torch
    >>> from taut.certify import robustness
    >>> model, inputs, labels = torch.nn.Linear(2, 2), torch.ones(1, 2), torch.tensor([0])
    >>> verify(robustness(model, inputs, labels), model, inputs, labels)
    """
    check_samples(inputs, labels, 1)
    with plain_float64():
        program = model if isinstance(model, Program) else lower(model, tuple(inputs.shape[1:]))
    samples = inputs.detach().cpu().contiguous().numpy(), labels.detach().cpu().to(torch.int64).numpy()
    try:
        verifier.verify(certificate.to_dict(), as_network(program), *samples)
    except verifier.VerificationError as error:
        raise CertificateError(str(error)) from error


def as_network(program: Program) -> verifier.Network:
    """The program as the verifier reads it from a file."""
    kept = {name: value.contiguous() for name, value in program_tensors(program).items()}
    arrays = {
        name: (value.view(torch.uint16) if value.dtype == torch.bfloat16 else value).numpy()
        for name, value in kept.items()
    }
    types = {name: NAMES[value.dtype] for name, value in kept.items()}
    return verifier.Network(program=json.loads(canonical(program_json(program))), tensors=arrays, dtypes=types)
