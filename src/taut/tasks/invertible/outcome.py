"""What a finished run leaves behind in result.json."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from taut import certify
from taut.tasks.invertible.config import Config
from taut.tasks.invertible.measure import Measured
from taut.tasks.invertible.problem import Problem
from taut.tasks.layers import layer_rows
from taut.tasks.provenance import provenance


def result(
    config: Config,
    problem: Problem,
    found: Measured,
    plain: nn.Module,
    *,
    recipe: str,
    command: Sequence[str],
    seconds: Mapping[str, float],
) -> dict[str, Any]:
    """The content of result.json; `plain` is the folded network."""
    shape = (problem.features,)
    return {
        "task": config.task,
        "recipe": recipe,
        "target": config.target.target,
        "description": problem.target.description,
        "shape": list(problem.target.shape),
        "features": problem.features,
        "samples": len(problem.held_out),
        "loss": config.loss.loss,
        "kernel": config.loss.kernel,
        "blocks": config.network.blocks,
        "lipschitz": config.network.lipschitz,
        "activation": config.network.activation,
        "lipschitz_bound": certify.lipschitz_bound(plain, norm="l2", input_shape=shape),
        **found.figures,
        "layers": layer_rows(plain, "l2", shape),
        "parameters": sum(parameter.numel() for parameter in plain.parameters()),
        **provenance(command=command, seed=config.seed, seconds=seconds),
    }
