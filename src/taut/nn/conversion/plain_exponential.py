"""Truncated exponentials of a convolution as torch.fx graphs: what `fold` leaves behind, and how it is recognised."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn

from taut.functional.skew_exponential import truncated_exponential
from taut.nn.conversion._plain import numbers_in, same_nodes
from taut.nn.conversion.plain_blocks import holds_what_it_says, resized


@dataclass(frozen=True, kw_only=True)
class Exponential:
    """x -> the first `terms` terms of exp(skew) on x, with channels appended or left out at either end."""

    skew: nn.Conv2d
    terms: int
    out_channels: int


class _Formula(nn.Module):
    def __init__(self, skew: nn.Module, bias: Tensor | None, sizes: tuple[int, int, int], terms: int) -> None:
        super().__init__()
        self.skew = skew
        self.bias = None if bias is None else nn.Parameter(bias.detach().clone().reshape(-1, 1, 1))
        self.sizes, self.terms = sizes, terms

    def forward(self, x: Any) -> Any:
        before, inside, after = self.sizes
        y = truncated_exponential(resized(x, before, inside, axis=-3), self.skew, terms=self.terms)
        y = resized(y, inside, after, axis=-3)
        return y if self.bias is None else y + self.bias


def plain_exponential(
    skew: nn.Conv2d, bias: Tensor | None, *, in_channels: int, out_channels: int, terms: int
) -> fx.GraphModule:
    """The sum as a graph of torch functions around the convolution `skew`, which it uses terms - 1 times."""
    sizes = (in_channels, skew.in_channels, out_channels)
    module = fx.symbolic_trace(_Formula(skew, bias, sizes, terms))
    module.__class__.__name__ = "TruncatedExponential"
    return module


def recognise_exponential(module: nn.Module) -> Exponential | None:
    """The sum that a graph computes, or None. The graph itself decides, not a name that it carries."""
    if not isinstance(module, fx.GraphModule) or dict(module.named_children()).keys() != {"skew"}:
        return None
    skew: Any = module.skew
    if type(skew) is not nn.Conv2d or skew._forward_hooks or skew._forward_pre_hooks or skew.bias is not None:
        return None
    if not holds_what_it_says(skew) or skew.in_channels != skew.out_channels:
        return None
    own = {**dict(module.named_parameters(recurse=False)), **dict(module.named_buffers(recurse=False))}
    bias = own.pop("bias", None)
    if own or (bias is not None and tuple(bias.shape[1:]) != (1, 1)):
        return None
    terms = 1 + sum(node.op == "call_module" for node in module.graph.nodes)
    width = skew.in_channels
    numbers = [v for v in numbers_in(module) if isinstance(v, int)]
    for other in sorted({width, *(n for v in numbers for n in (v, width - v) if n > 0)}):
        for before, after in ((other, width), (width, other)):
            if other <= width and (bias is None or len(bias) == after):
                made = plain_exponential(skew, bias, in_channels=before, out_channels=after, terms=terms)
                if same_nodes(module, made):
                    return Exponential(skew=skew, terms=terms, out_channels=after)
    return None


def plain_conv(weight: Tensor, *, padding_mode: str) -> nn.Conv2d:
    """A torch.nn.Conv2d without bias that keeps the image's size and holds this kernel of odd sizes."""
    out, inputs, *size = weight.shape
    options: dict[str, Any] = {"padding": [(k - 1) // 2 for k in size], "padding_mode": padding_mode}
    layer = nn.Conv2d(inputs, out, (size[0], size[1]), bias=False, device="meta", **options)
    layer.weight = nn.Parameter(weight.detach().clone(memory_format=torch.contiguous_format))
    return layer
