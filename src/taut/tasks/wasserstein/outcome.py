"""What a finished run leaves behind: the bracket of the distance in result.json, and the tensors behind it."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from taut.data.distributions import exact_wasserstein1
from taut.errors import UserError
from taut.tasks.layers import layer_rows
from taut.tasks.provenance import provenance
from taut.tasks.wasserstein.config import Config, EvaluationConfig
from taut.tasks.wasserstein.measure import Measured, figures_of, graph
from taut.tasks.wasserstein.problem import Problem
from taut.transport import exact_transport, mean_difference, transport_upper

_SHOWN = 1000
_SHOWN_PICTURES = 40


def bracket(p_values: Tensor, q_values: Tensor, config: EvaluationConfig) -> dict[str, Any]:
    """Estimate and lower end from values of a critic that were divided by its proven constant."""
    found = mean_difference(p_values, q_values, bound=1.0, confidence=config.confidence)
    return {
        "estimate": found.estimate,
        "standard_error": found.standard_error,
        "confidence": config.confidence,
        "interval": list(found.interval),
        "lower": max(0.0, found.lower),
    }


def upper_end(p: Tensor, q: Tensor, config: EvaluationConfig) -> dict[str, Any]:
    """Exact transport between the first held-out samples of both, and the upper end that follows; None where there is
    none.

    Raises:
        UserError: POT is missing where it is needed, or finds no optimum.
    """
    count = min(len(p), len(q), config.transport_samples)
    if count == 0:
        return {"upper": None, "transport": None, "transport_samples": 0}
    try:
        found = exact_transport(p[:count], q[:count])
    except (ImportError, RuntimeError, ValueError) as error:
        raise UserError(f"{error} (--transport-samples 0 leaves exact transport out)") from error
    return {
        "upper": transport_upper(found.value, found.standard_error, samples=count, confidence=config.confidence),
        "transport": found.value,
        "transport_standard_error": found.standard_error,
        "transport_samples": count,
    }


def result(
    config: Config,
    problem: Problem,
    found: Mapping[str, Measured],
    *,
    recipe: str,
    command: Sequence[str],
    train_estimate: float,
    unit: float,
    seconds: Mapping[str, float],
) -> dict[str, Any]:
    """The content of result.json. `found` has "critic", and "beside" where another was trained to compare with.

    `unit` is that in which they saw the samples.
    """
    critic = found["critic"]
    beside = found.get("beside")
    return {
        "task": config.task,
        "recipe": recipe,
        "p": config.distributions.p,
        "q": config.distributions.q,
        "p_description": problem.p.description,
        "q_description": problem.q.description,
        "shape": list(problem.shape),
        "unit": unit,
        "norm": "l2",
        "samples": len(critic.p_values),
        "lipschitz_bound": critic.lipschitz_bound,
        **bracket(critic.p_values, critic.q_values, config.evaluation),
        **upper_end(*problem.held_out, config.evaluation),
        "truth": exact_wasserstein1(problem.p, problem.q),
        "train_estimate": train_estimate,
        "gradient_norm": critic.gradient_figures(),
        "activation": config.critic.activation,
        "beside": None if beside is None else {"activation": config.evaluation.beside, **figures_of(beside)},
        "layers": layer_rows(critic.plain, "l2", problem.shape),
        "parameters": sum(parameter.numel() for parameter in critic.plain.parameters()),
        **provenance(command=command, seed=config.seed, seconds=seconds),
    }


def evaluation_tensors(found: Mapping[str, Measured], problem: Problem) -> dict[str, Tensor]:
    """The tensors of evaluation.safetensors."""
    critic = found["critic"]
    shown = _SHOWN_PICTURES if len(problem.shape) == 3 else _SHOWN
    tensors = {
        "p_values": critic.p_values,
        "q_values": critic.q_values,
        "gradient_norm": critic.gradient_norm,
        "p_samples": problem.held_out[0][:shown],
        "q_samples": problem.held_out[1][:shown],
        **graph(critic, problem),
    }
    if "beside" in found:
        tensors["beside_gradient_norm"] = found["beside"].gradient_norm
        beside = graph(found["beside"], problem)
        if beside:
            tensors["beside_grid_values"] = beside["grid_values"]
    return {
        name: tensor.to(torch.float64) if tensor.is_floating_point() else tensor for name, tensor in tensors.items()
    }
