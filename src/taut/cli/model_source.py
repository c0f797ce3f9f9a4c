"""The network that a command line names: of a run, imported, or imported and filled from a file of weights."""

import inspect
import json
from pathlib import Path
from typing import Any

from torch import nn

from taut.cli.checkpoint import SUFFIXES, load_weights
from taut.errors import UsageError, UserError
from taut.importing import import_object, one_line


def load_model(
    source: str, *, model_class: str | None, weights: Path | None, arguments: str
) -> tuple[nn.Module, tuple[int, ...]]:
    """The network in evaluation mode, and the shape of one input, empty where it is not known.

    Raises UsageError for a command that cannot be meant, UserError for files that are missing, damaged or do not fit.
    """
    path = Path(source)
    options = _options(arguments)
    if path.is_dir():
        return _of_run(path, model_class=model_class, weights=weights, options=options)
    if path.is_file():
        if path.suffix == ".py":
            raise UsageError(f"{source} is a Python file: name what it defines, as {source}:NAME")
        _refuse_program(path)
        if path.suffix in SUFFIXES and model_class is None:
            raise UsageError(f"{source} holds weights alone: name their network by --model-class MODULE:NAME")
        if model_class is None:
            raise UsageError(f"{source} is neither a run folder nor MODULE:NAME nor a file of weights ({_known()})")
        if weights is not None:
            raise UsageError(f"weights are given twice: {source} and {weights}")
        return load_weights(_imported(model_class, options), path, model_class).eval(), ()
    if path.suffix in SUFFIXES:
        raise UserError(f"there is no file {source}")
    if ":" not in source:
        raise UsageError(f"{source!r} is neither a run folder nor MODULE:NAME nor a file of weights ({_known()})")
    if model_class is not None:
        raise UsageError(f"--model-class goes with a file of weights; {source} names its network itself")
    model = _imported(source, options)
    if weights is not None:
        _refuse_program(weights)
        model = load_weights(model, weights, source)
    return model.eval(), ()


def _known() -> str:
    return ", ".join(SUFFIXES)


def _refuse_program(path: Path) -> None:
    if path.suffix == ".pt2":
        raise UserError(
            f"{path} is an exported program, whose operations have no Lipschitz rules: give the class of the network "
            "and its state dict"
        )


def _of_run(
    path: Path, *, model_class: str | None, weights: Path | None, options: dict[str, Any]
) -> tuple[nn.Module, tuple[int, ...]]:
    from taut.tasks import task
    from taut.training.run_folder import open_run

    for name, given in (("--weights", weights), ("--model-class", model_class), ("--arguments", options)):
        if given:
            raise UsageError(f"{name} goes with MODULE:NAME; a run folder has its own network and weights")
    name = open_run(path)[1].task
    if not hasattr(task(name), "load_network"):
        raise UsageError(f"{path} is a run of the task {name}, of which taut audit reads no network")
    return task(name).load_network(path)


def _options(text: str) -> dict[str, Any]:
    try:
        options = json.loads(text)
    except json.JSONDecodeError as error:
        raise UsageError(f"--arguments must be JSON, got {text!r}: {error}") from error
    if not isinstance(options, dict):
        raise UsageError(f'--arguments must be a JSON object such as {{"width": 64}}, got {text}')
    return options


def _imported(name: str, options: dict[str, Any]) -> nn.Module:
    found = import_object(name)
    if isinstance(found, nn.Module):
        if options:
            raise UsageError(f"--arguments goes with a class or function; {name} is a torch module already")
        return found
    if not callable(found):
        raise UsageError(f"{name} gives a {type(found).__name__}, not a torch module")
    model = _called(found, name, options)
    if not isinstance(model, nn.Module):
        raise UsageError(f"{name} gives a {type(model).__name__}, not a torch module")
    return model


def _called(found: Any, name: str, options: dict[str, Any]) -> Any:
    try:
        inspect.signature(found).bind(**options)
    except TypeError as error:
        raise UsageError(f"{name} cannot be called with the arguments {json.dumps(options)}: {error}") from error
    except ValueError:  # a signature that cannot be read: the call itself will tell
        pass
    try:
        return found(**options)
    except Exception as error:  # the model's own code
        raise UserError(f"{name} fails with the arguments {json.dumps(options)}: {one_line(error)}") from error
