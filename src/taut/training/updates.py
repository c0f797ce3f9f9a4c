"""What happens around the step of an optimizer: gradients that are too long are shortened, weights are projected."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from taut.errors import require


@dataclass(frozen=True, kw_only=True)
class UpdateConfig:
    """How gradients are computed, what is done to them before an update, and to weights after it."""

    clip: float = 0.0
    """Scale the gradient of an update down to this l2 norm where it is longer; the norm is logged. 0 is off."""
    clip_value: float = 0.0
    """Cut each entry of the gradient to this magnitude instead; the norm before is logged. 0 is off."""
    project_every: Literal["update", "epoch"] = "update"
    """When layers that are constrained by projection are brought back: after each update, or after each epoch. At the
    end of training they always are."""
    accumulate: int = 1
    """Parts in which each process takes its share of a batch, one after the other; their gradients are added up: less
    memory for the same update, but for what looks at a batch as a whole (normalisation, hkr, the largest gradient)."""
    compile: bool = False
    """Let torch.compile make one graph of the network: minutes at the start, quicker updates on a GPU."""

    def __post_init__(self) -> None:
        for name, value in (("clip", self.clip), ("clip-value", self.clip_value)):
            require(0 <= value < math.inf, f"{name} must be a number that is not negative, got {value:g}")
        require(not (self.clip and self.clip_value), "give one of clip and clip-value, not both")
        require(self.accumulate >= 1, f"accumulate must be at least 1, got {self.accumulate}")


def clipped(
    fabric: Fabric, network: nn.Module, optimizer: torch.optim.Optimizer, config: UpdateConfig
) -> dict[str, Tensor]:
    """Clip the gradients of `network` in place as `config` says; returns "gradient_norm", the l2 norm before, to log.

    To be called between the backward pass and the step: with several processes the gradients are then those of the
    whole batch, so that every process has the same norm. What is not finite stays so: training then ends with a
    sentence about the metric. Nothing is done, and nothing returned, where `config` does not clip.
    """
    if config.clip:
        norm = fabric.clip_gradients(network, optimizer, max_norm=config.clip, error_if_nonfinite=False)
        return {"gradient_norm": torch.as_tensor(norm)}
    if config.clip_value:
        norm = _norm(network.parameters())
        fabric.clip_gradients(network, optimizer, clip_val=config.clip_value)
        return {"gradient_norm": norm}
    return {}


def _norm(parameters: Iterable[Tensor]) -> Tensor:
    return nn.utils.get_total_norm([parameter.grad for parameter in parameters if parameter.grad is not None])
