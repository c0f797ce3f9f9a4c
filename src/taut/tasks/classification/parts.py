"""From a config to the pieces of a run: network, loss, validation."""

from collections.abc import Callable
from dataclasses import fields
from functools import cache, partial
from typing import Any, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor, nn

from taut import losses, models
from taut import nn as tnn
from taut.attacks import Norm, margins
from taut.data import Problem, Split, as_inputs
from taut.errors import UsageError
from taut.tasks.classification import measure
from taut.tasks.classification.config import DataConfig, EvaluationConfig, LossConfig, ModelConfig

Loss = Callable[[Tensor, Tensor], Tensor]
Constants = Callable[[int], Tensor]
"""From the number of classes to the Lipschitz constants of the differences of two logits, (classes, classes)."""


def build_model(config: ModelConfig, problem: Problem) -> nn.Module:
    """The network that `config` describes. Raises UsageError for sizes that no such network has."""
    options = models.ClassifierOptions(
        **{field.name: getattr(config, field.name) for field in fields(models.ClassifierOptions)}
    )
    try:
        network = models.classifiers()[config.architecture](problem.shape, len(problem.classes), options)
    except (ValueError, TypeError) as error:
        raise UsageError(f"cannot build the network: {' '.join(str(error).split())}") from error
    return nn.Sequential(network, nn.Tanh()) if config.tanh else network


def check_fit(config: DataConfig, problem: Problem) -> None:
    """Raise UsageError where the config asks for what the data set cannot give."""
    if config.augmentation.active and len(problem.shape) != 3:
        raise UsageError(f"augmentation needs pictures, but {config.dataset} has inputs of shape {problem.shape}")


def build_loss(
    config: LossConfig,
    *,
    reduction: Literal["mean", "none"] = "mean",
    constants: Constants | None = None,
) -> Loss:
    """The mean loss of a batch as a function of logits and labels, or with "none" the loss of each sample.

    `constants` are needed where the config asks for the worst case within a radius.
    """
    loss = _plain_loss(config, reduction)
    if config.worst_case == "none":
        return loss
    if constants is None:
        raise UsageError(f"worst-case {config.worst_case} needs a network whose constants are known")
    moved = losses.emma_logits if config.worst_case == "emma" else losses.worst_case_logits
    return lambda logits, labels: loss(moved(logits, labels, constants(logits.shape[1]), eps=config.radius), labels)


def _plain_loss(config: LossConfig, reduction: Literal["mean", "none"]) -> Loss:
    if config.loss == "temperature-offset":
        return partial(
            losses.temperature_offset_cross_entropy,
            temperature=config.temperature,
            offset=config.offset,
            reduction=reduction,
        )
    if config.loss == "logit-annealing":
        return partial(
            losses.logit_annealing_loss,
            temperature=config.temperature,
            offset=config.offset,
            exponent=config.exponent,
            reduction=reduction,
        )
    if config.loss == "margin":
        return partial(losses.margin_loss, margin=config.offset, reduction=reduction)
    if config.loss == "hkr":
        if reduction == "none":
            raise UsageError("hkr is a loss of a whole batch, which adversaries and most penalties cannot use")
        return partial(losses.multiclass_hkr_loss, alpha=config.alpha, margin=config.offset)
    if config.loss == "margin-cross-entropy":
        return partial(
            losses.cross_entropy_with_hinge,
            margin=config.offset,
            weight=config.cross_entropy,
            scale=1 / config.temperature,
            reduction=reduction,
        )
    return partial(F.cross_entropy, reduction=reduction)


def set_inputs_(model: nn.Module, split: Split) -> None:
    """Set what `model` subtracts and divides by before its first layer, where it does, from the pictures of `split`."""
    for module in model.modules():
        if isinstance(module, models.Standardise):
            module.set_from_(as_inputs(part) for part in split.stored.split(1000))


def input_scale(model: nn.Module, config: ModelConfig) -> float:
    """Lipschitz constant of what comes before the first layer of `model`, which may be folded."""
    if config.inputs == "as-is":
        return 1.0
    first = next(module for module in model.modules() if next(module.children(), None) is None)
    scale = first.scale if isinstance(first, models.Standardise) else first.weight
    assert isinstance(scale, Tensor)
    return float(scale.detach().abs().max())


def head_of(model: nn.Module) -> tuple[nn.Linear | None, bool]:
    """The linear layer that `model` ends in, if it does, and whether its logits go through a hyperbolic tangent."""
    squashed = False
    while isinstance(model, nn.Sequential) and len(model):
        *before, model = model
        if isinstance(model, nn.Tanh | tnn.Scale) and before:
            squashed, model = squashed or isinstance(model, nn.Tanh), nn.Sequential(*before)
    return (model if isinstance(model, nn.Linear) else None), squashed


def steepness(model: nn.Module, config: ModelConfig, *, folded: bool = False) -> Callable[[], float]:
    """The product of what is before the first layer of `model` and the factor behind its last, which a folded linear
    head has in its rows; found when it is asked for first, as training may start from other values."""
    in_rows = folded and head_of(model)[0] is not None
    return cache(lambda: (1.0 if in_rows else config.lipschitz) * input_scale(model, config))


def head_constants(model: nn.Module, config: ModelConfig, *, norm: Norm, folded: bool = False) -> Constants:
    """Constants of the differences of two logits of `model` as it is when they are asked for, as they would be if the
    layers before the last had the constant 1 but for its `steepness`."""
    head, squashed = head_of(model)
    factor = steepness(model, config, folded=folded)

    def constants(classes: int) -> Tensor:
        if head is None:
            return losses.pair_constants(classes, lipschitz=factor(), norm=norm)
        found = losses.pair_constants(classes, head.weight, lipschitz=factor(), norm=norm)
        if not squashed:
            return found
        # slopes of the tangent are anywhere in [0, 1]: of |s v - t w| the largest is at a corner
        sizes = factor() * torch.linalg.vector_norm(head.weight.float(), ord=2 if norm == "l2" else 1, dim=1)
        return torch.maximum(found, torch.maximum(sizes[:, None], sizes)) * (1 - torch.eye(classes).to(found))

    return constants


def objective(loss: Loss) -> Callable[[nn.Module, tuple[Tensor, ...]], dict[str, Tensor]]:
    """Loss and accuracy of a batch, for the training loop."""

    def metrics(model: nn.Module, batch: tuple[Tensor, ...]) -> dict[str, Tensor]:
        inputs, labels = batch
        logits = model(inputs)
        return {"loss": loss(logits, labels), "accuracy": (logits.argmax(dim=1) == labels).float().mean()}

    return metrics


def validation(
    split: Split, loss: Loss, config: EvaluationConfig, inputs: ModelConfig, device: torch.device
) -> Callable[[nn.Module], dict[str, Any]]:
    """Loss, accuracy and an estimate of certified accuracy on `split`, for the log."""
    stored, labels = split.stored.to(device), split.labels.to(device)

    @torch.no_grad()
    def figures(model: nn.Module) -> dict[str, Any]:
        plain = tnn.fold(model).eval()
        network, dtype = measure.quickest(plain), next(plain.parameters()).dtype
        logits = torch.cat([network(as_inputs(part).to(dtype)) for part in stored.split(2000)])
        found: dict[str, Any] = {
            "loss": float(loss(logits, labels)),
            "accuracy": float((logits.argmax(dim=1) == labels).float().mean()),
        }
        if config.certify and is_constrained(model):
            constants = head_constants(plain, inputs, norm=config.norm, folded=True)
            radius = radius_estimate(logits, labels, constants(logits.shape[1]))
            found["certified_estimate"] = {f"{eps:g}": float((radius > eps).float().mean()) for eps in config.radii}
        return found

    return figures


def is_constrained(model: nn.Module) -> bool:
    """Whether no layer of `model` is torch's own with weights that nothing bounds: only then is the body 1-Lipschitz by
    construction, and the estimate of radii not just a number."""
    return not any(
        type(module).__module__.startswith("torch.nn.modules.")
        and next(module.parameters(recurse=False), None) is not None
        for module in model.modules()
    )


def radius_estimate(
    logits: Float[Tensor, "batch classes"],
    labels: Int64[Tensor, " batch"],
    constants: Float[Tensor, "classes classes"],
) -> Float[Tensor, " batch"]:
    """Certified radius as it would be if `constants` bounded the differences of logits and floats were exact.

    Quick, for watching a training run; never shown as a certificate. 0 where the prediction is wrong.
    """
    gaps = logits.gather(1, labels[:, None]) - logits
    own = F.one_hot(labels, logits.shape[1]).bool()
    radius = (gaps / constants.to(logits)[labels].clamp_min(1e-12)).masked_fill(own, torch.inf).amin(dim=1)
    return torch.where(margins(logits, labels) > 0, radius, 0.0)
