"""The Lipschitz constant between what the data show, what the weights say, and what is proven."""

from typing import Any

import torch
from torch import Tensor, nn

from taut import certify
from taut.data import Split, as_inputs
from taut.tasks.classification.full.measured import Subject

_MATRICES = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
_SEARCH_EVALUATIONS = 3000
_SEARCH_POINTS = 64


def constants(subject: Subject) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The four numbers for result.json, and the Jacobian's norm at each of some samples."""
    points, norm = subject.some.inputs, subject.norm
    with subject.telling("norms of Jacobians", len(points)) as tell:
        jacobians = certify.jacobian_norm_estimate(subject.model, points, norm=norm, progress=tell)
    with subject.telling("searching for a steep pair", 100) as tell:
        pair = certify.estimate(
            subject.model,
            points[jacobians.argsort(descending=True)[:_SEARCH_POINTS]],
            norm=norm,
            evaluations=_SEARCH_EVALUATIONS,
            seed=subject.options.seed,
            progress=lambda share, _: tell(int(100 * share)),
        )
    product, left_out = weight_norm_product(subject.model, norm)
    bound, reason = _bound(subject)
    figures = {
        "jacobian_norm_estimate": float(jacobians.max()),
        "jacobian_norm_index": int(jacobians.argmax()),
        "search_estimate": pair.value,
        "weight_norm_product": product,
        "weight_norm_left_out": left_out,
        "lipschitz_bound": bound,
        "no_bound_because": reason,
    }
    return figures, {"jacobian_norm": jacobians}


def weight_norm_product(model: nn.Module, norm: str) -> tuple[float, list[str]]:
    """The product of the norms of all matrices and kernels, each bounded from above, and the layers with other weights.

    Of a chain whose other layers have constant 1 it is a bound; of a network with branches it is none.
    """
    product, left_out = 1.0, []
    for name, module in model.named_modules():
        if isinstance(module, _MATRICES):
            product *= certify.lipschitz_bound(module, norm=norm)
        elif any(True for _ in module.parameters(recurse=False)):
            left_out.append(name)
    return product, left_out


def _bound(subject: Subject) -> tuple[float | None, str | None]:
    if isinstance(subject.certificate, certify.Certificate):
        return subject.certificate.lipschitz_bound, None
    shape = tuple(subject.split.inputs.shape[1:])
    try:
        return certify.lipschitz_bound(subject.model, norm=subject.norm, input_shape=shape), None
    except (TypeError, ValueError) as error:
        return None, " ".join(str(error).split())


def losses_and_errors(subject: Subject, train: Split) -> dict[str, Any]:
    """Error and mean loss on the held-out samples and on the training samples."""
    return {name: _error_and_loss(subject, split) for name, split in (("test", subject.split), ("train", train))}


@torch.no_grad()
def _error_and_loss(subject: Subject, split: Split) -> dict[str, Any]:
    dtype = next((parameter.dtype for parameter in subject.model.parameters()), torch.float32)
    with subject.telling("errors and losses", len(split)) as tell:
        parts = []
        for part in split.stored.split(1000):
            parts.append(subject.model(as_inputs(part).to(subject.device, dtype)).double().cpu())
            tell(sum(map(len, parts)))
    logits = torch.cat(parts)
    return {
        "samples": len(split),
        "error": float((logits.argmax(dim=1) != split.labels).double().mean()),
        "loss": float(subject.loss(logits, split.labels)),
    }
