"""State of an optimizer as a flat dictionary of tensors, which safetensors can hold, and back."""

from typing import Any

import torch
from torch import Tensor

from taut.errors import UserError


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """All of the optimizer's state, by "<parameter index>.<name>". The groups' options are not state: they come from
    the config.

    Raises:
        TypeError: Some state is not a tensor, so this function would lose it.
    """
    tensors: dict[str, Tensor] = {}
    for index, state in optimizer.state_dict()["state"].items():
        for name, value in state.items():
            if value is None:
                continue
            if not isinstance(value, Tensor):
                raise TypeError(
                    f"state {name!r} of {type(optimizer).__name__} is a {type(value).__name__}, not a tensor"
                )
            tensors[f"{index}.{name}"] = value
    return tensors


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Put back what `optimizer_tensors` returned, into an optimizer over the same parameters.

    Raises:
        UserError: The state is of other parameters, or of the same ones in another order.
    """
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    state: dict[int, dict[str, Any]] = {}
    for key, value in tensors.items():
        index, name = key.split(".", maxsplit=1)
        if int(index) >= len(parameters) or (value.ndim and value.shape != parameters[int(index)].shape):
            raise UserError(f"the state of the optimizer does not fit its parameters ({key}); train again")
        state.setdefault(int(index), {})[name] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
