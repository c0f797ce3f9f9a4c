"""Where training starts: from the weights of a finished run, converted where this run's layers are others."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from taut.data import Problem
from taut.errors import UsageError, UserError
from taut.files import read_json, read_tensors, sha256
from taut.training.run_folder import RunFolder

if TYPE_CHECKING:
    from taut.tasks.classification.config import ModelConfig

_CONVERTED = ("aol", "frobenius", "linear", "spectral-norm")
"""Dense layers that are one weight and not orthogonal: their weight becomes the free weight of a bjorck layer."""
_ORTHOGONAL = ("bjorck", "bro", "cayley", "cholesky", "exp", "householder", "manifold", "parseval", "qr")
_FREE_CONVOLUTION = "conv"


@dataclass(frozen=True, kw_only=True)
class StartConfig:
    """Where training starts."""

    start_from: Path | None = None
    """Folder of a finished run of the same architecture, from whose final weights training starts; see `taut
    finetune`."""
    start_sha256: str | None = None
    """SHA-256 of that run's model.safetensors: where it is given, other weights are refused."""


def orthonormal(model: "ModelConfig") -> "ModelConfig":
    """`model` with dense layers that are orthogonal: Björck steps to the limit, unconstrained and merely bounded layers
    turned into bjorck ones. A head with unit rows stays.

    Raises:
        UsageError: Layers that have no orthogonal form.
    """
    if model.architecture not in ("mlp", "lenet"):
        raise UsageError(f"--orthonormal is for the architectures mlp and lenet, not for {model.architecture}")
    if model.architecture == "lenet" and model.convolution == _FREE_CONVOLUTION:
        raise UsageError(
            "--orthonormal makes dense layers orthogonal, but the convolutions of this run (conv) have no constraint "
            "at all: train it with --convolution aoc"
        )
    head = model.head if model.head == "unit-norm" else _orthogonal(model.head)
    return replace(model, linear=_orthogonal(model.linear), head=head, bjorck_steps=0)


def _orthogonal(linear: str) -> str:
    if linear in _CONVERTED:
        return "bjorck"
    if linear not in _ORTHOGONAL:
        raise UsageError(f"--orthonormal cannot make a layer of the kind {linear} orthogonal")
    return linear


def weights_hash(run: RunFolder) -> str:
    """SHA-256 of the final weights of `run`. UserError where they are not there."""
    try:
        return sha256(run.model)
    except OSError as error:
        raise UserError(
            f"{run.path} has no final weights yet; finish it with: taut train --resume {run.path}"
        ) from error


@torch.no_grad()
def load_start(model: nn.Module, config: StartConfig, trained: nn.Module, problem: Problem, of: Problem) -> None:
    """Put the final weights of the run `config.start_from` into `model`; `trained` is that run's network, untrained.

    Layer by layer: the whole state where both are of one kind, else the weight that the trained layer multiplies by.

    Raises:
        UsageError: The runs are of other data or other sizes, or the weights are not those that are meant.
        UserError: The run is not finished or damaged.
    """
    run = RunFolder(config.start_from or Path())
    # Pictures of another height or width may fit, where the network averages over places; other layers are found below.
    if (problem.classes, problem.shape[0], len(problem.shape)) != (of.classes, of.shape[0], len(of.shape)):
        raise UsageError(f"{run.path} was trained on other classes or inputs of another shape")
    found = weights_hash(run)
    if config.start_sha256 not in (None, found):
        raise UsageError(f"the weights of {run.path} are not those that this run was to start from: they have changed")
    try:
        trained.load_state_dict(read_tensors(run.model))
    except RuntimeError as error:
        raise UserError(f"{run.model} does not fit the network of {run.config}") from error
    ours, theirs = _leaves(model), _leaves(trained)
    same = len(ours) == len(theirs) and all(_shape(a) == _shape(b) for a, b in zip(ours, theirs, strict=True))
    if not same:
        raise UsageError(
            f"the network of {run.path} has other layers or sizes than this one: only a network of the same "
            "architecture, width and depth can start from it"
        )
    for layer, source in zip(ours, theirs, strict=True):
        if _kind(layer) == _kind(source):
            layer.load_state_dict(source.state_dict())
        else:
            weight = source.weight.detach().clone()  # a parameter could not be assigned to a constrained weight
            layer.weight = weight if hasattr(layer, "parametrizations") else nn.Parameter(weight)
            if layer.bias is not None:
                layer.bias.copy_(source.bias)


def earlier(config: StartConfig) -> dict[str, Any]:
    """What the run from which training started had reached, for the result beside what it has reached now; empty
    without one, or where its result has gone."""
    if config.start_from is None or not RunFolder(config.start_from).result.is_file():
        return {}
    figures = read_json(RunFolder(config.start_from).result)
    kept = ("accuracy", "norm", "lipschitz_bound", "certified", "attacked", "samples")
    known = {name: figures[name] for name in kept if name in figures}
    return {"start": {"run": str(config.start_from), **known, "sigma_min": smallest(figures)}}


def smallest(figures: Mapping[str, Any]) -> float | None:
    """The smallest singular value in a result.json of the weights but the head: 1 where all are orthogonal."""
    values = [row["sigma_min"] for row in figures.get("layers", []) if row.get("sigma_min") is not None]
    return min(values[:-1], default=None)


def _leaves(model: nn.Module) -> list[Any]:
    """The modules that own state, in order; a constrained weight belongs to its layer."""
    return [
        module
        for name, module in model.named_modules()
        if "parametrizations" not in name
        and (module._parameters or module._buffers or hasattr(module, "parametrizations"))
    ]


def _kind(layer: nn.Module) -> str:
    return type(layer).__name__.removeprefix("Parametrized")


def _shape(layer: Any) -> Any:
    weight = getattr(layer, "weight", None)
    return tuple(weight.shape) if isinstance(weight, torch.Tensor) else None
