"""The same work by other libraries, each only where it is installed, and by published formulas."""

import importlib
import sys
from collections.abc import Callable, Sequence
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize

import taut
from taut import nn as tnn

PACKAGES = ("torch", "deel-torchlip", "orthogonium")


def versions() -> dict[str, str]:
    """Version of taut and of each library that it is measured against, as far as they are installed."""
    found = {"taut": taut.__version__}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def use_checkouts(paths: Sequence[Path]) -> None:
    """Import other libraries from these folders, before what is installed."""
    sys.path[:0] = [str(path.resolve()) for path in paths]
    importlib.invalidate_caches()


def dense_peers() -> dict[str, Callable[[int, int], nn.Module]]:
    """Makers of an orthogonal dense layer."""
    made: dict[str, Callable[[int, int], nn.Module]] = {"LNets: Björck 25 (formula)": _lnets}
    for method in ("cayley", "householder", "matrix_exp"):
        made[f"torch orthogonal: {method}"] = partial(_torch_orthogonal, method)
    if lip := _imported("deel.torchlip"):
        made["deel-torchlip: SpectralLinear"] = lip.SpectralLinear
        made["deel-torchlip: FrobeniusLinear"] = lip.FrobeniusLinear
    if linear := _imported("orthogonium.layers.linear"):
        made["orthogonium: OrthoLinear"] = linear.OrthoLinear
    return made


def convolution_peers() -> dict[str, Callable[[int], nn.Module]]:
    """Makers of a 3 x 3 convolution with the library's own activation, from its channels."""
    made: dict[str, Callable[[int], nn.Module]] = {}
    if lip := _imported("deel.torchlip"):
        made["deel-torchlip: SpectralConv2d + GroupSort2"] = lambda c: nn.Sequential(
            lip.SpectralConv2d(c, c, 3, padding=1), lip.GroupSort2()
        )
        made["deel-torchlip: FrobeniusConv2d + GroupSort2"] = lambda c: nn.Sequential(
            lip.FrobeniusConv2d(c, c, 3, padding=1), lip.GroupSort2()
        )
    if layers := _imported("orthogonium.layers"):
        made["orthogonium: AdaptiveOrthoConv2d + MaxMin"] = lambda c: nn.Sequential(
            layers.AdaptiveOrthoConv2d(c, c, 3, padding=1), layers.MaxMin()
        )
        if soc := _imported("orthogonium.layers.conv.adaptiveSOC.ortho_conv"):
            made["orthogonium: AdaptiveSOCConv2d + MaxMin"] = lambda c: nn.Sequential(
                soc.AdaptiveSOCConv2d(c, c, 3, padding=3, padding_mode="circular"), layers.MaxMin()
            )
        if aol := _imported("orthogonium.layers.conv.AOL.aol"):
            made["orthogonium: AOLConv2D + MaxMin"] = lambda c: nn.Sequential(
                aol.AOLConv2D(c, c, 3, padding=1), layers.MaxMin()
            )
        if sll := _imported("orthogonium.layers.conv.SLL.sll_layer"):
            made["orthogonium: SDPBasedLipschitzResBlock"] = lambda c: sll.SDPBasedLipschitzResBlock(c, 1, 3)
    return made


def activation_peers(channels: int, *, pictures: bool) -> dict[str, Callable[[], nn.Module]]:
    """Makers of activations of so many channels; some are for pictures alone."""
    made: dict[str, Callable[[], nn.Module]] = {}
    if lip := _imported("deel.torchlip"):
        made |= {"deel-torchlip: GroupSort2": lip.GroupSort2, "deel-torchlip: FullSort": lip.FullSort}
        made["deel-torchlip: HouseHolder"] = partial(lip.HouseHolder, channels)
        made["deel-torchlip: LPReLU"] = partial(lip.LPReLU, channels)
    if activations := _imported("orthogonium.layers.custom_activations"):
        made["orthogonium: MaxMin"] = activations.MaxMin
        made["orthogonium: Abs"] = activations.Abs
        if pictures:
            made["orthogonium: HouseHolder"] = partial(activations.HouseHolder, channels)
            made["orthogonium: HouseHolder_Order_2"] = partial(activations.HouseHolder_Order_2, channels)
    return made


def _imported(name: str) -> Any:
    """The module, or None where the library is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def bjorck_twenty_five(weight: Tensor) -> Tensor:
    """LNets' setting: 25 Björck steps of order 1 after scaling by sqrt(rows * columns), differentiated step by step."""
    weight = weight / (weight.shape[0] * weight.shape[1]) ** 0.5
    for _ in range(25):
        weight = 1.5 * weight - 0.5 * (weight @ (weight.mT @ weight))
    return weight


def sorted_l1_projection(weight: Tensor) -> Tensor:
    """Rows in the l1 ball as LNets projects them: a sort, a cumulative sum and the last index that passes."""
    sizes = weight.abs()
    ordered = sizes.sort(dim=1, descending=True).values
    excess = ordered.cumsum(1) - 1
    counts = torch.arange(1, weight.shape[1] + 1, device=weight.device)
    last = (ordered * counts > excess).sum(1, keepdim=True)
    threshold = (excess.gather(1, last - 1) / last).clamp_min(0)
    return weight.sign() * (sizes - threshold).clamp_min(0)


class _BjorckTwentyFive(nn.Module):
    def forward(self, weight: Tensor) -> Tensor:
        return bjorck_twenty_five(weight)


def _lnets(in_features: int, out_features: int) -> nn.Module:
    layer = nn.Linear(in_features, out_features)
    nn.init.orthogonal_(layer.weight)
    parametrize.register_parametrization(layer, "weight", _BjorckTwentyFive())
    return layer


def _torch_orthogonal(method: str, in_features: int, out_features: int) -> nn.Module:
    layer = nn.Linear(in_features, out_features)
    nn.init.orthogonal_(layer.weight)
    return parametrizations.orthogonal(layer, orthogonal_map=method)


class SortedGroups(nn.Module):
    """GroupSort by torch.sort along contiguous groups, as LNets and others do."""

    def __init__(self, group_size: int) -> None:
        super().__init__()
        self.group_size = group_size

    def forward(self, x: Tensor) -> Tensor:
        return x.unflatten(1, (-1, self.group_size)).sort(2).values.flatten(1, 2)


class PublishedSpline(tnn.LinearSpline):
    """The linear spline as its published code computes it: two look-ups by a list of indices."""

    def forward(self, x: Tensor) -> Tensor:
        start, rises, inverse_step = self._pieces()
        values = start[:, None] + torch.nn.functional.pad(rises.cumsum(1), (1, 0))
        last = [1] * (x.ndim - 2)
        position = x * inverse_step.view(-1, *last) + (self.knots - 1) / 2
        piece = position.detach().clamp(0, self.knots - 2).floor()
        first = torch.arange(self.channels, device=x.device) * self.knots
        index = piece.long() + first.view(-1, *last)
        flat, fraction = values.flatten(), position - piece
        return flat[index + 1] * fraction + flat[index] * (1 - fraction)
