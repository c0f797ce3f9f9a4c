"""Weights of a network from a file: plain tensors only, so that reading them runs no code."""

import pickle
import re
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn

from taut.errors import UserError

SUFFIXES = (".safetensors", ".pt", ".pth", ".ckpt", ".bin")
_ENTRIES = ("state_dict", "model_state_dict", "model", "net", "network", "weights")
_PREFIXES = ("module.", "_orig_mod.", "model.", "net.", "network.")
"""Of DataParallel, of torch.compile, and of modules that hold a network to train it."""


def load_weights(model: nn.Module, path: Path, name: str) -> nn.Module:
    """The model `name` with the weights of the file; what is unwrapped on the way is said on standard error."""
    weights = _stripped(_state_dict(_read(path), path), model, path)
    present = model.state_dict()
    missing = [key for key in present if key not in weights and not key.endswith("num_batches_tracked")]
    unknown = [key for key in weights if key not in present]
    complaints = [
        *_counted(missing, "is missing", "are missing"),
        *_counted(unknown, "is unknown to it", "are unknown to it"),
        *_other_shapes(weights, present),
    ]
    if complaints:
        raise UserError(f"{path} does not fit {name}: {'; '.join(complaints)}")
    if any(tensor.dtype == torch.float64 for tensor in weights.values()):
        model = model.double()  # to float32 the weights would be rounded, and others would be bounded
    try:
        model.load_state_dict(weights, strict=False)
    except Exception as error:  # the model's own hooks and checks
        raise UserError(f"cannot load {path} into {name}: {' '.join(str(error).split())}") from error
    return model


def _counted(keys: list[str], one: str, many: str) -> list[str]:
    if not keys:
        return []
    return [f"{keys[0]!r} {one}" if len(keys) == 1 else f"{len(keys)} tensors {many}, such as {keys[0]!r}"]


def _other_shapes(weights: dict[str, Tensor], present: dict[str, Any]) -> list[str]:
    for key, tensor in weights.items():
        own = present.get(key)
        if isinstance(own, Tensor) and not nn.parameter.is_lazy(own) and own.shape != tensor.shape:
            return [f"{key!r} has shape {tuple(tensor.shape)}, not {tuple(own.shape)}"]
    return []


def _read(path: Path) -> Any:
    if path.suffix not in SUFFIXES:
        raise UserError(f"weights are read from files that end in {', '.join(SUFFIXES)}, got {path}")
    if not path.is_file():
        raise UserError(f"there is no file {path}")
    try:
        path.open("rb").close()
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error
    try:
        if path.suffix == ".safetensors":
            return safetensors.torch.load(path.read_bytes())
        with warnings.catch_warnings(action="ignore"):
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file makes the readers raise anything
        raise UserError(_why(path, error)) from error


def _why(path: Path, error: Exception) -> str:
    text = str(error)
    if "TorchScript" in text:
        return (
            f"{path} is a TorchScript program, whose operations have no Lipschitz rules: give the class of the network "
            "and its state dict"
        )
    found = re.search(r"GLOBAL ([\w.]+)", text)
    if isinstance(error, pickle.UnpicklingError) and found is not None:
        return (
            f"{path} holds a pickled {found[1]}, and loading it would run code from the file: save the tensors alone, "
            "by torch.save(model.state_dict(), FILE), and name the class with --model-class"
        )
    return f"{path} is damaged, or no file of weights"


def _state_dict(found: Any, path: Path) -> dict[str, Tensor]:
    """The mapping from names to tensors, wherever a checkpoint usually has it."""
    if isinstance(found, Mapping) and found and all(isinstance(value, Tensor) for value in found.values()):
        return dict(found)
    if isinstance(found, Mapping):
        for entry in _ENTRIES:
            if isinstance(found.get(entry), Mapping):
                _say(f"using the entry {entry!r} of {path}")
                return _state_dict(found[entry], path)
        keys = ", ".join(repr(str(key)) for key in list(found)[:6])
        raise UserError(f"{path} has no state dict under {', '.join(_ENTRIES)}; it has {keys or 'nothing'}")
    raise UserError(f"{path} holds a {type(found).__name__}, not a state dict")


def _stripped(weights: dict[str, Tensor], model: nn.Module, path: Path) -> dict[str, Tensor]:
    """Without the prefixes that all names have and none of the model's has."""
    own = model.state_dict()
    while True:
        prefix = next((p for p in _PREFIXES if weights and all(key.startswith(p) for key in weights)), None)
        if prefix is None or any(key.startswith(prefix) for key in own):
            return weights
        _say(f"without the prefix {prefix!r} of the names in {path}")
        weights = {key.removeprefix(prefix): tensor for key, tensor in weights.items()}


def _say(text: str) -> None:
    print(f"taut: {text}", file=sys.stderr)
