"""Certify a network on given samples: classes, the k largest classes, signs."""

import platform
from collections.abc import Callable
from importlib import metadata

import numpy
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from taut.certify.certificates.certificate import Certificate, LayerConstant
from taut.certify.program.encoding import data_hash, model_hash
from taut.certify.samples.assess import Prepared, assess
from taut.certify.samples.claims import Claim, Question


def robustness(
    model: nn.Module,
    inputs: Float[Tensor, "samples *shape"],
    labels: Int[Tensor, " samples"],
    *,
    norm: str = "l2",
    claim: Claim = "class",
    k: int = 1,
    threshold: float = 0.0,
    arithmetic: str = "float64",
    batch_size: int = 1024,
    device: torch.device | str = "cpu",
    progress: Callable[[int, int], None] | None = None,
) -> Certificate:
    r"""Certified radius of each sample in `norm` ("l2" or "linf"), sound in floating point; see `claims` for the proof.

    The model is any network that torch.fx can trace into operations whose rounding is known: linear layers and
    convolutions of every kind, residual and SDP-based blocks, activations, pools, batch norm in evaluation mode,
    additions, concatenations, rearrangements; folded or not. Its weights are those it has now. Inputs are float32 or
    float64, read exactly; radii are in their units: a model that normalises its input counts that as a layer.

    `claim`: "class" (the label's logit is the largest, strictly), "top_k" (among the `k` largest), "sign" (one output,
    above `threshold` for label 1 and below it for label 0). `arithmetic` is that of the network that is certified:
    "float64" as executed; "real"; "float32-accumulate64" (float32 weights, dot products summed in float64); "float32",
    "tf32" and "bfloat16", where only samples are certified whose margin is larger than what rounding can do, often
    none. A sample that is misclassified, tied or not finite has radius 0. Radii are below what is proven here, by
    1.5e-8 relatively and by what a margin can differ where sums are ordered otherwise, so that any machine can verify
    them. `device` is where the float64 evaluation runs; constants are proven on the CPU.

    `progress` is called with (samples done, samples in all) after each batch.

    Raises TypeError that names a module or function which cannot be certified, and for other dtypes; ValueError for
    labels outside the classes, sizes that do not fit, less than two classes, NaN or infinite weights, unknown options.

    >>> import torch
    >>> model = torch.nn.Linear(2, 2, bias=False)
    >>> with torch.no_grad():
    ...     _ = model.weight.copy_(torch.eye(2))
    >>> certificate = robustness(model, torch.tensor([[3.0, 1.0]]), torch.tensor([0]))
    >>> 1.414213 < float(certificate.radius[0]) < 2**0.5  # margin 2 over ||(1, -1)||
    True
    """
    question = Question(claim=claim, k=k, threshold=threshold)
    found = assess(
        model,
        inputs,
        labels,
        norm=norm,
        question=question,
        arithmetic=arithmetic,
        batch_size=batch_size,
        device=device,
        progress=progress,
    )
    return Certificate(
        norm=found.prepared.norm,
        claim=claim,
        k=k,
        threshold=threshold,
        arithmetic=found.prepared.arithmetic,
        lipschitz_bound=found.prepared.lipschitz_bound,
        radius=found.published,
        margin=found.margin,
        prediction=found.prediction,
        label=labels.detach().cpu().to(torch.int64),
        layers=layers(found.prepared),
        model_hash=model_hash(found.prepared.program),
        data_hash=data_hash(inputs),
        versions=_versions(),
    )


def layers(prepared: Prepared) -> tuple[LayerConstant, ...]:
    """The constants as a certificate states them."""
    return tuple(
        LayerConstant(
            node=place,
            name=node.name,
            op=node.operation.op,
            bound=bound,
            method="joins its inputs" if proof is None else proof.method,
        )
        for place, (node, bound, proof) in enumerate(
            zip(prepared.program.nodes, prepared.bounds, prepared.proofs, strict=True), 1
        )
    )


def _versions() -> dict[str, str]:
    return {
        "taut": metadata.version("taut"),
        "torch": torch.__version__,
        "numpy": numpy.__version__,
        "python": platform.python_version(),
    }
