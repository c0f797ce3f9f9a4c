r"""Denoisers whose Lipschitz constant is proven: what the theorems of plug-and-play iterations ask for."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from taut.certify import lipschitz_bound
from taut.certify.rounding import add_up, mul_up
from taut.functional._precision import full_precision
from taut.nn import fold

_RANGE = 4.0
"""How far from the noise level that it was made for a denoiser is used, as a factor."""


@runtime_checkable
class ProvenDenoiser(Protocol):
    """What the theorems of plug-and-play iterations need to know of a map between images: proven l2 constants."""

    name: str

    @property
    def lipschitz_bound(self) -> float:
        """Of D: never too small."""
        ...

    @property
    def averaged(self) -> float | None:
        """theta where D is proven theta-averaged."""
        ...

    @property
    def reflected_bound(self) -> float:
        """Of 2 D - I: never too small."""
        ...

    @property
    def residual_bound(self) -> float:
        """Of D - I: never too small."""
        ...

    def __call__(self, x: Tensor, sigma: float | Tensor | None = None) -> Tensor:
        """D(x) for noise of level sigma."""
        ...


class Denoiser(nn.Module):
    r"""D(x) = (1 - averaging) x + averaging N(x) with the proven l2 constant of D, for images of every size.

    The network N is folded and frozen: it stays in evaluation mode and no parameter asks for a gradient, though
    gradients flow to the image. Where N is proven nonexpansive and averaging < 1, D is averaged, with theta =
    averaging. Of an unconstrained network the constants say how far it is from that; they are infinite where no bound
    can be proven. Constants hold in real arithmetic, with the weights as they are stored; autocast and TF32
    are not used.

    Called as deepinv calls its denoisers, D(x, sigma): another noise level s than that of the training, s0, is reached
    as (s / s0) D(x s0 / s), which has the same constant and is averaged just as well. A picture of another number of
    channels is denoised channel by channel if the network takes one channel: the constants stay.

    Shapes: (batch, channels, height, width) or (channels, height, width), to the same; any floating point dtype, that
    of the network inside. Units: sigma in those of the images, 15 / 255 for pictures in [0, 1].

    Args:
        network: N, from images to images of the same shape.
        channels: Of the images that N takes.
        sigma: Noise level that N was made for, in units of the images; None where it takes any.
        averaging: Weight of N, in (0, 1].
        multiple: Of which the sides of N's images must be multiples. To others rows and columns of zeros are added,
            which are cut off afterwards: no constant grows, and D is averaged just as well.
        name: What tables and messages call it.

    Raises:
        ValueError: An argument, NaN or infinite weights; when called, an image or a sigma that does not fit (outside
            sigma / 4 to 4 sigma).
        TypeError: When called, an image that is no floating point tensor.

    Source: Hertrich, Neumayer and Steidl (2021), "Convolutional proximal neural networks and plug-and-play algorithms".

    Example:
        >>> from taut.imaging import nonexpansive
        >>> torch.manual_seed(0); network = torch.nn.Conv2d(1, 1, 3, padding=1)  # doctest: +ELLIPSIS
        <...
        >>> denoiser = Denoiser(nonexpansive(network), channels=1, sigma=0.1, averaging=0.5)
        >>> denoiser(torch.rand(3, 7, 9), 0.2).shape, denoiser.averaged, denoiser.nonexpansive
        (torch.Size([3, 7, 9]), 0.5, True)
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        channels: int,
        sigma: float | None,
        averaging: float = 1.0,
        multiple: int = 1,
        name: str = "denoiser",
    ) -> None:
        super().__init__()
        if channels < 1:
            raise ValueError(f"channels must be at least 1, got {channels}")
        if sigma is not None and not 0.0 < sigma < math.inf:
            raise ValueError(f"sigma must be positive and finite, or None, got {sigma}")
        if not 0.0 < averaging <= 1.0:
            raise ValueError(f"averaging must be in (0, 1], got {averaging}")
        if multiple < 1:
            raise ValueError(f"multiple must be at least 1, got {multiple}")
        self.network = fold(network).requires_grad_(False)
        self.channels, self.sigma, self.averaging, self.name = channels, sigma, float(averaging), name
        self.multiple = multiple
        self.eval()
        self._bound = network_constant(self.network)
        self._proven_for = self._numbers()
        self._least_side = (_least_side(self.network) - 1) * multiple + 1

    @property
    def network_bound(self) -> float:
        """Upper bound of the l2 constant of N: never too small, infinite where none can be proven."""
        numbers = list(_tensors(self.network))
        if not _same(numbers, self._proven_for):  # converted, loaded, edited: the old proof is about other numbers
            self._bound, self._proven_for = network_constant(self.network), self._numbers()
        return self._bound

    @property
    def lipschitz_bound(self) -> float:
        """Upper bound of the l2 constant of D: never too small, infinite where none can be proven."""
        # 1 + averaging (K - 1), every step rounded up, which is exact where K is 1
        return add_up(1.0, mul_up(self.averaging, add_up(self.network_bound, -1.0)))

    @property
    def averaged(self) -> float | None:
        """theta, where D is proven theta-averaged: D = (1 - theta) I + theta R with R nonexpansive, theta < 1."""
        return self.averaging if self.network_bound <= 1.0 and self.averaging < 1.0 else None

    @property
    def nonexpansive(self) -> bool:
        """Whether D is proven 1-Lipschitz in l2, exactly."""
        return self.lipschitz_bound <= 1.0

    @property
    def reflected_bound(self) -> float:
        """Upper bound of the l2 constant of 2 D - I; D is proven firmly nonexpansive where it is at most 1."""
        twice = 2.0 * self.averaging
        of_input = add_up(1.0, -twice) if twice <= 1.0 else add_up(twice, -1.0)
        return add_up(of_input, mul_up(twice, self.network_bound))

    @property
    def residual_bound(self) -> float:
        """Upper bound of the l2 constant of D - I, what the denoiser takes away."""
        return mul_up(self.averaging, add_up(1.0, self.network_bound))

    def train(self, mode: bool = True) -> "Denoiser":
        """Stays in evaluation mode: the proof is about that."""
        del mode
        super().train(False)
        return self

    def forward(
        self, x: Float[Tensor, "... height width"], sigma: float | Tensor | None = None
    ) -> Float[Tensor, "... height width"]:
        """D(x), or the same map made for noise of level `sigma`: a number, or a tensor of one for each image."""
        images = as_batch(x)
        self._refuse(images)
        split = images.shape[1] != self.channels
        if split:
            factor = self._factor(sigma, images).repeat_interleave(images.shape[1], 0)
            images = images.reshape(-1, 1, *images.shape[2:])
        else:
            factor = self._factor(sigma, images)
        inside = images.to(self._dtype(images)) / factor
        with _as_stored(images.device):
            out = self._within(inside)
        if out.shape != inside.shape:
            raise ValueError(
                f"a denoiser returns images of the shape that it is given, "
                f"got {tuple(out.shape)} for {tuple(inside.shape)}"
            )
        if self.averaging != 1.0:
            out = torch.lerp(inside, out, self.averaging)
        return (out * factor).to(x.dtype).reshape(x.shape)

    def _within(self, inside: Tensor) -> Tensor:
        """N of the images, brought to sides that it takes."""
        height, width = inside.shape[2:]
        missing = (-width % self.multiple, -height % self.multiple)
        if missing == (0, 0):
            return self.network(inside)
        grown = torch.nn.functional.pad(inside, (0, missing[0], 0, missing[1]))
        return self.network(grown)[:, :, :height, :width]

    def extra_repr(self) -> str:
        return f"channels={self.channels}, sigma={self.sigma}, averaging={self.averaging:g}, name={self.name!r}"

    def _dtype(self, images: Tensor) -> torch.dtype:
        return next((p.dtype for p in self.network.parameters() if p.is_floating_point()), images.dtype)

    def _factor(self, sigma: float | Tensor | None, images: Tensor) -> Tensor:
        """s / s0 for each image, as (batch, 1, 1, 1); one where sigma does not matter."""
        dtype = self._dtype(images)
        if sigma is None or self.sigma is None:
            return torch.ones((len(images), 1, 1, 1), dtype=dtype, device=images.device)
        levels = torch.as_tensor(sigma, dtype=torch.float64).reshape(-1)
        if len(levels) not in (1, len(images)):
            raise ValueError(f"sigma must be one number or one for each of {len(images)} images, got {len(levels)}")
        ratio = levels / self.sigma
        if not bool(((ratio >= 1.0 / _RANGE) & (ratio <= _RANGE)).all()):
            wrong = levels[~((ratio >= 1.0 / _RANGE) & (ratio <= _RANGE))]
            raise ValueError(
                f"{self.name} was made for sigma {self.sigma:g} and is used from {self.sigma / _RANGE:g} to "
                f"{self.sigma * _RANGE:g}, got {float(wrong[0]):g}"
            )
        return ratio.to(images.device, dtype).reshape(-1, 1, 1, 1).expand(len(images), 1, 1, 1)

    def _refuse(self, images: Tensor) -> None:
        if images.shape[1] != self.channels and self.channels != 1:
            raise ValueError(f"{self.name} takes images of {self.channels} channels, got {images.shape[1]}")
        if min(images.shape[2:]) < self._least_side:
            raise ValueError(
                f"{self.name} pads by {self._least_side} and needs images of at least that size, "
                f"got {images.shape[2]} x {images.shape[3]}"
            )

    def _numbers(self) -> list[Tensor]:
        """A copy of the network's: edits through `.data` leave no other trace."""
        return [tensor.detach().clone() for tensor in _tensors(self.network)]


@contextmanager
def _as_stored(device: torch.device) -> Iterator[None]:
    """No autocast and, on a GPU, no TF32, which torch uses in convolutions: weights would be rounded to 10 bits."""
    now = torch.backends.cudnn
    without = now.flags(enabled=now.enabled, benchmark=now.benchmark, deterministic=now.deterministic, allow_tf32=False)
    with full_precision(device), without:
        yield


def _tensors(network: nn.Module) -> Iterator[Tensor]:
    yield from network.parameters()
    yield from network.buffers()


def _same(a: list[Tensor], b: list[Tensor]) -> bool:
    """Whether dtypes, devices and all numbers are the same; NaN is not."""
    return [(t.dtype, t.device) for t in a] == [(t.dtype, t.device) for t in b] and all(map(torch.equal, a, b))


def as_batch(x: Tensor) -> Tensor:
    """Images as (batch, channels, height, width), from that or from one image."""
    if not isinstance(x, Tensor) or not x.is_floating_point():
        raise TypeError(f"images must be floating point tensors, got {getattr(x, 'dtype', type(x).__name__)}")
    if x.ndim not in (3, 4) or 0 in x.shape:
        raise ValueError(
            f"images must have the shape (batch, channels, height, width) or (channels, height, width), "
            f"none of them 0, got {tuple(x.shape)}"
        )
    return x if x.ndim == 4 else x[None]


def network_constant(network: nn.Module) -> float:
    """The proven l2 constant for images of every size; infinity where there is no proof.

    ValueError for NaN or infinite weights, of which nothing can be said.
    """
    if not all(bool(torch.isfinite(p).all()) for p in network.parameters() if p.is_floating_point()):
        raise ValueError("a denoiser needs finite weights, got NaN or infinity")
    try:
        return lipschitz_bound(network)
    except (TypeError, ValueError):  # a part without a rule, or a sum whose shapes depend on the image
        return math.inf


def _least_side(network: nn.Module) -> int:
    """The largest padding that goes around the image: torch wraps around once only."""
    least = 1
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and module.padding_mode in ("circular", "reflect"):
            reach = max(module._reversed_padding_repeated_twice)
            least = max(least, reach + (module.padding_mode == "reflect"))
    return least
