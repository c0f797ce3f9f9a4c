"""`taut audit`: the proven bound of every layer, of a run or of any torch module."""

import importlib
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from taut.cli.parse import parse
from taut.errors import UsageError, UserError

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, kw_only=True)
class Options:
    """Prove an upper bound of the Lipschitz constant of a run's network or of a model, layer by layer."""

    model: Annotated[str, tyro.conf.Positional]
    """Run folder, or MODULE:NAME for a torch module, or a function that returns one, in an importable Python module."""
    weights: Path | None = None
    """safetensors file to load into MODULE:NAME."""
    norm: Literal["l2", "linf"] = "l2"
    """Norm of the bounds."""
    input_shape: tuple[int, ...] = ()
    """Shape of one input without the batch, such as 3 32 32; needed for convolutions and additions."""
    json: bool = False
    """Print JSON."""


def main(arguments: Sequence[str]) -> None:
    """Run `taut audit` with `arguments`."""
    options = parse(Options, arguments, prog="taut audit")
    from taut import certify

    model, shape = _load(options)
    try:
        audit = certify.audit(model, input_shape=shape, norm=options.norm)
    except (TypeError, ValueError) as error:
        raise UserError(f"no bound for {options.model}: {' '.join(str(error).split())}") from error
    print(json.dumps(audit.to_dict(), indent=2) if options.json else audit)


def _load(options: Options) -> "tuple[nn.Module, tuple[int, ...] | None]":
    path = Path(options.model)
    if path.exists():
        from taut.tasks.classification import load_network

        if options.weights is not None:
            raise UsageError("--weights goes with MODULE:NAME; a run folder has its own weights")
        network, shape = load_network(path)
        return network, options.input_shape or shape
    if ":" not in options.model:
        raise UsageError(f"{options.model!r} is neither a run folder nor MODULE:NAME")
    return _import(options.model, options.weights), options.input_shape or None


def _import(name: str, weights: Path | None) -> "nn.Module":
    import safetensors.torch
    from torch import nn

    module_name, _, attribute = name.partition(":")
    sys.path.insert(0, os.getcwd())
    try:
        found = getattr(importlib.import_module(module_name), attribute)
    except (ImportError, AttributeError) as error:
        raise UsageError(f"cannot import {name}: {error}") from error
    model = found() if callable(found) and not isinstance(found, nn.Module) else found
    if not isinstance(model, nn.Module):
        raise UsageError(f"{name} gives a {type(model).__name__}, not a torch module")
    if weights is not None:
        try:
            model.load_state_dict(safetensors.torch.load(weights.read_bytes()))
        except Exception as error:
            raise UserError(f"cannot load {weights} into {name}: {' '.join(str(error).split())}") from error
    return model.eval()
