"""What the units of a network do on data: which of them pass anything on, and which ever leave one linear piece."""

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float, Num
from torch import Tensor, fx, nn

from taut import nn as tnn
from taut.models._unit import UnitActivity

_STORED = {
    ("start", "rises", "inverse_step"): "LinearSpline",
    ("normal",): "HouseholderActivation",
    ("angles",): "HouseholderActivation",
    ("low", "high"): "NActivation",
}
"""What folded activations that have learned something keep."""
_PLACES = 16
"""Positions of an image at which a channel is looked at."""


@torch.no_grad()
def unit_activity(
    model: nn.Module,
    inputs: Num[Tensor, "batch *shape"],
    *,
    batch_size: int = 500,
    progress: Callable[[int], None] = lambda _: None,
) -> list[UnitActivity]:
    r"""For each activation layer and each unit before it, the share of the data on which it is active, and switches.

    One rule for all activations: with fixed weights v that differ, the derivative of v . act(x) with respect to unit i
    says what the layer does with it. It is zero where nothing is passed on (a ReLU below zero, a loser of MaxOut), so
    that "active" is output above zero for a ReLU, and 1 for activations that keep gradients, such as MaxMin and
    GroupSort. Of a sort it is the weight of the slot that the unit lands in, so that "switching" counts where that
    changes; of a ReLU it counts the rarer of on and off; of smooth activations nothing ever repeats, and it says
    nothing.

    Layers are torch's activations and taut's, folded or not, that are modules of `model`, at each of their uses; calls
    of functions in a forward are not seen. Of convolutional layers 16 positions are looked at, spread evenly.
    The model should be in eval mode. `progress` is called with the number of samples done.

    Raises ValueError for no inputs. Source: Anil, Lucas and Grosse (2019) for the share of units that are active.

    >>> import torch
    >>> found = unit_activity(torch.nn.ReLU(), torch.tensor([[-1.0, -9.0], [1.0, -8.0], [2.0, -7.0], [3.0, -6.0]]))
    >>> found[0].active, found[0].switching
    (tensor([0.7500, 0.0000]), tensor([0.2500, 0.0000]))
    """
    if len(inputs) == 0:
        raise ValueError("unit_activity needs inputs, got none")
    layers = {module: (name, kind) for name, module in model.named_modules() if (kind := _kind(module))}
    seen: dict[tuple[str, int], list[Tensor]] = {}
    kinds: dict[tuple[str, int], str] = {}
    uses: dict[str, int] = {}

    def record(module: nn.Module, args: tuple[Any, ...]) -> None:
        name, kind = layers[module]
        use = uses[name] = uses.get(name, 0) + 1
        seen.setdefault((name, use), []).append(_signatures(module, args[0]))
        kinds[name, use] = kind

    hooks = [module.register_forward_pre_hook(record) for module in layers]
    done = 0
    try:
        for part in inputs.split(batch_size):
            uses.clear()
            model(part)
            done += len(part)
            progress(done)
    finally:
        for hook in hooks:
            hook.remove()
    return [_activity(name, kinds[name, use], torch.cat(parts)) for (name, use), parts in seen.items()]


def _kind(module: nn.Module) -> str | None:
    """The name of the activation that the module is; None where it is something else."""
    known = tuple(tnn.activations().values())
    if isinstance(module, fx.GraphModule):
        learned = _STORED.get(tuple(module._parameters))
        if learned:
            return learned
        module = tnn.recognise(module) or module
    ours = isinstance(module, known)
    theirs = type(module).__module__ == "torch.nn.modules.activation" and not isinstance(module, nn.MultiheadAttention)
    return type(module).__name__ if ours or theirs else None


def _signatures(module: nn.Module, x: Tensor) -> Float[Tensor, "points units"]:
    """The derivative of fixed weights of the output with respect to each unit, a row for each sample and position."""
    with torch.enable_grad():
        x = x.detach().requires_grad_(True)
        out = type(module).forward(module, x)  # without the hooks
        shape = [1, out.shape[1], *[1] * (out.ndim - 2)]
        weights = torch.linspace(1.0, 2.0, out.shape[1], dtype=out.dtype, device=out.device).reshape(shape)
        if not out.requires_grad:
            return torch.zeros_like(x).flatten(1)
        (found,) = torch.autograd.grad((weights * out).sum(), x)
    if found.ndim < 3:
        return found
    places = found.flatten(2)
    chosen = torch.linspace(0, places.shape[2] - 1, min(_PLACES, places.shape[2])).round().long()
    return places[:, :, chosen.to(places.device)].movedim(2, 1).flatten(0, 1)


def _activity(name: str, kind: str, signatures: Float[Tensor, "points units"]) -> UnitActivity:
    points = len(signatures)
    usual = torch.cat([_most_frequent(part) for part in signatures.split(256, dim=1)])
    active = (signatures != 0).sum(dim=0).float() / points
    return UnitActivity(name=name, kind=kind, active=active.cpu(), switching=(1.0 - usual.float() / points).cpu())


def _most_frequent(columns: Float[Tensor, "points units"]) -> Num[Tensor, " units"]:
    """How often the most frequent value of each column occurs: the longest run of the sorted column."""
    ordered = columns.sort(dim=0).values
    places = torch.arange(len(ordered), device=ordered.device)[:, None]
    begins = torch.ones_like(ordered, dtype=torch.bool)
    begins[1:] = ordered[1:] != ordered[:-1]
    start = torch.where(begins, places, 0).cummax(dim=0).values
    return (places - start + 1).amax(dim=0)
