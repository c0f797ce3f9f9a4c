r"""What padding and the image size do to the norm of a convolution.

Zero padding restricts input and output of the infinite convolution: its norm is a bound for any amount and any image.
The other modes repeat pixels first. An extension that repeats no pixel more than m times has the norm sqrt(m), and the
infinite convolution follows. Circular padding does better: with stride 1, or where the stride divides the image, the
outputs are those of a block-circulant operator, whose norm the infinite one bounds too.
"""

import math
from dataclasses import dataclass

from taut.certify.norms.stencil import Geometry, reduced_strides


@dataclass(frozen=True, kw_only=True)
class Plan:
    """One valid way to bound: sqrt(factor) times the norm of the kernel in polyphase form with `strides`."""

    strides: tuple[int, ...]
    factor: int
    """How often an entry is repeated at most: its root multiplies the norm."""
    grid: tuple[int, ...] | None = None
    """Only these frequencies, 2 pi j / grid, occur; None for all of them."""
    note: str = ""
    """What the padding did, for the text of the method."""


def plans(shape: Geometry, kernel_size: tuple[int, ...], image_size: tuple[int, ...] | None) -> tuple[Plan, ...]:
    """The ways to bound, each valid. `image_size` None stands for every image that the convolution takes.

    Raises ValueError for an image size that the convolution does not take.
    """
    spans = tuple(d * (k - 1) for d, k in zip(shape.dilation, kernel_size, strict=True))
    strides = reduced_strides(shape)
    if shape.transposed or shape.padding_mode == "zeros":
        return (Plan(strides=strides, factor=1),)
    _refuse_sizes(shape, spans, image_size)
    sizes = image_size or (None,) * len(spans)
    if shape.padding_mode == "circular":
        return _circular(shape, spans, sizes)
    repeat = _reflected if shape.padding_mode == "reflect" else _replicated
    factor = math.prod(repeat(*sides, size) for sides, size in zip(shape.padding, sizes, strict=True))
    return (Plan(strides=strides, factor=factor, note=_note(shape.padding_mode, factor, image_size is None)),)


def _refuse_sizes(shape: Geometry, spans: tuple[int, ...], image_size: tuple[int, ...] | None) -> None:
    if image_size is None:
        return
    if len(image_size) != len(spans):
        raise ValueError(f"image_size must have {len(spans)} entries, got {image_size}")
    for size, sides, span in zip(image_size, shape.padding, spans, strict=True):
        if size < _least_size(shape.padding_mode, sides, span):
            raise ValueError(f"image_size {image_size} is too small for padding {shape.padding_mode} {shape.padding}")


def _least_size(mode: str, sides: tuple[int, int], span: int) -> int:
    """Smallest image that torch accepts."""
    least = max(1, span + 1 - sum(sides))
    return max(least, *sides) if mode == "circular" else max(least, max(sides) + 1) if mode == "reflect" else least


def _reflected(left: int, right: int, size: int | None) -> int:
    """How often reflection repeats a pixel: once on either side, both only in a small image."""
    if left == 0 or right == 0:
        return 1 if left == right == 0 else 2
    return 3 if size is None or size <= left + right + 1 else 2


def _replicated(left: int, right: int, size: int | None) -> int:
    """How often replication repeats a border pixel; an image of one pixel has both borders."""
    return 1 + left + right if size is None or size == 1 else 1 + max(left, right)


def _circular(shape: Geometry, spans: tuple[int, ...], sizes: tuple[int | None, ...]) -> tuple[Plan, ...]:
    """Keep an axis's stride where it divides the image. Else drop it, as the outputs are some of those of stride 1; or
    keep it and count how often the extension repeats a pixel."""
    strides = reduced_strides(shape)
    least = [s or _least_size("circular", p, r) for s, p, r in zip(sizes, shape.padding, spans, strict=True)]
    # outputs repeat where the padded image is longer than one period plus the kernel
    again = [max(1, 1 + -(-(sum(p) - r) // n)) for p, r, n in zip(shape.padding, spans, least, strict=True)]
    divides = [shape.stride_divides if n is None else n % s == 0 for s, n in zip(shape.stride, sizes, strict=True)]
    whole = [s == 1 or divided for s, divided in zip(shape.stride, divides, strict=True)]
    dropped = tuple(r if kept else 1 for r, kept in zip(strides, whole, strict=True))
    grid = _grid(shape, sizes, whole)
    unknown = None in sizes
    factor = math.prod(again)
    found = [Plan(strides=dropped, factor=factor, grid=grid, note=_note("circular", factor, unknown))]
    if dropped != strides:
        twice = [1 + -(-sum(p) // n) for p, n in zip(shape.padding, least, strict=True)]
        factor = math.prod(a if kept else t for a, t, kept in zip(again, twice, whole, strict=True))
        why = "any image size" if unknown else "stride does not divide the image"
        found[0] = Plan(strides=dropped, factor=found[0].factor, grid=grid, note=f", circular, {why}: stride 1")
        found.append(Plan(strides=strides, factor=factor, note=f", circular, {why}: times sqrt({factor})"))
    return tuple(found)


def _grid(shape: Geometry, sizes: tuple[int | None, ...], whole: list[bool]) -> tuple[int, ...] | None:
    """Number of frequencies per axis of the circular operator, in polyphase form."""
    points = []
    for stride, dilation, size, kept in zip(shape.stride, shape.dilation, sizes, whole, strict=True):
        if size is None:
            return None
        blocks = size // stride if kept else size
        stretch = dilation // math.gcd(stride, dilation) if kept else dilation
        points.append(blocks // math.gcd(blocks, stretch))
    return tuple(points)


def _note(mode: str, factor: int, unknown: bool) -> str:
    if factor == 1:
        return ""
    return f", {mode}{', any image size' if unknown else ''}: times sqrt({factor})"
