"""Deterministic costs of a training step: products counted by torch, and bytes kept for the backward pass."""

from dataclasses import dataclass

from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

_PRODUCTS = ("aten::mm", "aten::addmm", "aten::bmm", "aten::baddbmm")
_CONVOLUTIONS = ("convolution", "convolution_backward")


@dataclass(frozen=True)
class Cost:
    """Of one forward and backward pass."""

    flops: int
    """Of matrix products and convolutions, also those inside operators of taut; decompositions are not among them."""
    saved: int
    """Bytes that are kept for the backward pass beside the input and the parameters."""


def cost(module: nn.Module, x: Tensor) -> Cost:
    """Cost of one pass, after one that builds what is built once."""
    _pass(module, x)
    known = {tensor.untyped_storage().data_ptr() for tensor in (x, *module.parameters(), *module.buffers())}
    kept: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in known:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with saved_tensors_hooks(pack, lambda tensor: tensor):
        y = module(x)
    y.sum().backward()
    with profile(activities=[ProfilerActivity.CPU], with_flops=True) as seen:
        _pass(module, x)
    products = sum(event.flops for event in seen.key_averages() if event.key in _PRODUCTS)
    counter = FlopCounterMode(display=False)
    with counter:
        _pass(module, x)
    found = counter.get_flop_counts().get("Global", {})
    convolutions = sum(count for kind, count in found.items() if str(kind).removeprefix("aten.") in _CONVOLUTIONS)
    return Cost(flops=products + convolutions, saved=sum(kept.values()))


def _pass(module: nn.Module, x: Tensor) -> None:
    module(x).sum().backward()
