"""The network that a search evaluates: in float64, with the weights as they are stored, apart from the user's model."""

import copy
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from taut.certify.breakdown import Norm
from taut.certify.rules.module_rules import kind_of, refuse_training_mode


def float64_copy(model: nn.Module, norm: Norm) -> nn.Module:
    """A copy in float64 whose weights are exactly the stored ones; constrained weights are computed as they are stored.

    Raises TypeError for batch statistics and for a model that cannot be copied.
    """
    refuse_training_mode(model, norm)
    try:
        twin = copy.deepcopy(model)
    except Exception as error:  # the model's own code, or weights that are results of a computation
        message = f"the search needs a copy of {kind_of(model)}, which copy.deepcopy does not give: {error}"
        raise TypeError(message) from error
    with torch.no_grad():
        for module in list(twin.modules()):
            _store_constrained(module)
    if any(tensor.device.type == "mps" for tensor in (*twin.parameters(), *twin.buffers())):
        twin = twin.to("cpu")  # no float64 there
    return twin.to(torch.float64).requires_grad_(False)


def _store_constrained(module: nn.Module) -> None:
    """The weight that the parametrization makes in its own precision, as a plain parameter: that one is bounded."""
    values = {name: getattr(module, name).detach().clone() for name in getattr(module, "parametrizations", {})}
    if not values:
        return
    module.parametrizations = nn.ModuleDict()  # none, and not absent: layers of taut look there when they are copied
    module.__class__ = type(module).__bases__[0]
    for name, value in values.items():
        module.register_parameter(name, nn.Parameter(value))


def device_of(model: nn.Module) -> torch.device:
    """Where the model's first tensor is."""
    return next((tensor.device for tensor in (*model.parameters(), *model.buffers())), torch.device("cpu"))


def check_function(twin: nn.Module, first: Float[Tensor, "one *shape"]) -> None:
    """That the copy is a function of each sample alone, in float64; tried at one sample.

    Raises TypeError where it is not, ValueError where it draws random numbers or does not take the samples.
    """
    with torch.no_grad():
        with _Precisions(kept := first.clone()) as precisions:
            try:
                out = twin(kept)
            except Exception as error:  # the model's own code
                shape = tuple(first.shape[1:])
                raise ValueError(f"the model does not take a sample of shape {shape}: {error}") from error
        if not isinstance(out, Tensor) or not out.is_floating_point() or out.shape[:1] != (1,):
            raise TypeError("the model must return one floating-point tensor, with a row for each sample")
        if precisions.lower is not None:
            raise TypeError(
                f"the model computes in {precisions.lower} whatever its weights are, so that rounding cannot be told "
                "from slopes: take the conversion out of its forward"
            )
        again = twin(torch.cat([first, 1.0 - 2.0 * first]))
        if not torch.allclose(out, twin(first.clone()), rtol=0.0, atol=0.0, equal_nan=True):
            raise ValueError("the model is another function at each call (dropout?): call .eval()")
    size = float(out.abs().amax()) if out.numel() else 0.0
    if size < torch.inf and not torch.allclose(again[:1], out, rtol=1e-6, atol=1e-9 * size, equal_nan=True):
        raise TypeError(
            "the samples of a batch change each other's output, so that no sample has a constant of its own"
        )


class _Precisions(TorchDispatchMode):
    """Watches one evaluation: the first floating type below float64 that something made of the input has."""

    def __init__(self, start: Tensor) -> None:
        super().__init__()
        self.lower: torch.dtype | None = None
        self._made_of_input = {id(start): start}  # kept alive, so that an id stays one tensor's

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        made = [value for value in tree_leaves((args, kwargs)) if id(value) in self._made_of_input]
        if made:
            moving = any(value.is_floating_point() for value in made)  # a mask is exact in any type
            for value in tree_leaves(result):
                if not isinstance(value, Tensor):
                    continue
                self._made_of_input[id(value)] = value
                if moving and self.lower is None and value.is_floating_point() and value.dtype != torch.float64:
                    self.lower = value.dtype
        return result
