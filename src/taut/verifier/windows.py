"""Operations on images: convolutions, and pools over windows."""

import itertools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from taut.verifier.arithmetic import Array
from taut.verifier.errors import need
from taut.verifier.program import Node

# The same names as torch's, and numpy's for them.
MODES = {"zeros": "constant", "circular": "wrap", "reflect": "reflect", "replicate": "edge"}


def convolution(node: Node, x: Array, weight: Array) -> Array:
    """The convolution of a batch with `weight`, without the bias."""
    stride, dilation, groups = (node[key] for key in ("stride", "dilation", "groups"))
    padded = pad_images(x, node["padding"], node["padding_mode"])
    sizes = [n - d * (k - 1) for n, k, d in zip(padded.shape[2:], weight.shape[2:], dilation, strict=True)]
    need(min(sizes, default=1) > 0, f"{node}: the kernel is larger than the image")
    outs = [(n - 1) // s + 1 for n, s in zip(sizes, stride, strict=True)]
    total = np.zeros((len(x), weight.shape[0], *outs))
    grouped = weight.reshape(groups, weight.shape[0] // groups, *weight.shape[1:])
    flat = total.reshape(len(x), *grouped.shape[:2], math.prod(outs))
    for tap, piece in taps_of(padded, weight.shape[2:], stride, dilation, outs):
        flat += grouped[(..., *tap)] @ piece.reshape(len(x), groups, weight.shape[1], math.prod(outs))
    return total


def transposed(node: Node, x: Array, weight: Array) -> Array:
    """The transposed convolution of a batch with `weight`, without the bias."""
    settings = [node[key] for key in ("stride", "padding", "output_padding", "dilation")]
    need(all(o < max(s, d) for s, _, o, d in zip(*settings, strict=True)), f"{node}: output_padding is too large")
    full, crop = [], []
    for n, k, s, p, o, d in zip(x.shape[2:], weight.shape[2:], *settings, strict=True):
        size = (n - 1) * s + d * (k - 1) + 1 + o
        need(size > 2 * p, f"{node}: nothing is left of the image")
        full.append(size)
        crop.append(slice(p, size - p))
    groups = node["groups"]
    split = weight.reshape(groups, weight.shape[0] // groups, *weight.shape[1:]).swapaxes(1, 2)
    total = np.zeros((len(x), groups * weight.shape[1], *full))
    images = x.reshape(len(x), groups, weight.shape[0] // groups, math.prod(x.shape[2:]))
    for tap, piece in taps_of(total, weight.shape[2:], settings[0], settings[3], x.shape[2:]):
        piece += (split[(..., *tap)] @ images).reshape(piece.shape)
    return total[(slice(None), slice(None), *crop)]


def taps_of(x: Array, kernel: Any, stride: Any, dilation: Any, outs: Any) -> Iterator[tuple[tuple[int, ...], Array]]:
    """For each tap of a window, the view of its pixel in all windows; the last axes are those of the image."""
    for tap in np.ndindex(*kernel):
        parts = zip(tap, stride, dilation, outs, strict=True)
        yield tap, x[(..., *(slice(t * d, t * d + (n - 1) * s + 1, s) for t, s, d, n in parts))]


def padded_index(size: int, pair: list[int], mode: str) -> Array:
    """Which pixel of an axis stands at each position of the padded axis; not for zeros."""
    limit = size - 1 if mode == "reflect" else size
    need(mode == "replicate" or max(pair) <= limit, f"padding {pair} of {size} pixels with mode {mode!r}")
    return np.pad(np.arange(size), pair, mode=MODES[mode])  # type: ignore[call-overload]


def pad_images(x: Array, pairs: list[list[int]], mode: str) -> Array:
    """The images with `pairs` of pixels more on each axis."""
    if mode == "zeros":
        return np.pad(x, [(0, 0)] * (x.ndim - len(pairs)) + [tuple(p) for p in pairs])
    for axis, pair in enumerate(pairs, start=x.ndim - len(pairs)):
        x = np.take(x, padded_index(x.shape[axis], pair, mode), axis=axis)
    return x


def windows_of(node: Node, x: Array, fill: float) -> Iterator[Array]:
    """The pixels of all windows of a pool, tap by tap."""
    kernel, stride = node["kernel"], node["stride"]
    need(len(kernel) == len(stride) == x.ndim - 2, f"{node}: windows of {len(kernel)} axes")
    padding = node.settings.get("padding") or [0] * len(kernel)
    dilation = node.settings.get("dilation") or [1] * len(kernel)
    outs, pads = [], []
    for n, k, s, p, d in zip(x.shape[2:], kernel, stride, padding, dilation, strict=True):
        free = n + 2 * p - d * (k - 1) - 1
        fits = free >= 0 or (node.settings.get("ceil_mode") and free > -s)
        need(fits, f"{node}: the window is larger than the image")
        out = -(-free // s) if node.settings.get("ceil_mode") else free // s
        out += 1 if (out * s < n + p or not node.settings.get("ceil_mode")) else 0  # no window starts in the padding
        outs.append(out)
        pads.append((p, max(p, (out - 1) * s + d * (k - 1) + 1 - n - p)))
    padded = np.pad(x, [(0, 0), (0, 0), *pads], constant_values=fill)
    return (piece for _, piece in taps_of(padded, kernel, stride, dilation, outs))


def max_pool(node: Node, x: Array) -> tuple[Array, None]:
    pieces = windows_of(node, x, -np.inf)
    half = [d * (k - 1) + 1 for k, d in zip(node["kernel"], node["dilation"], strict=True)]
    need(all(2 * p <= h for p, h in zip(node["padding"], half, strict=True)), f"{node}: padding is above half a window")
    total = next(pieces)
    for piece in pieces:
        total = np.maximum(total, piece)
    return total, None


def sum_pool(node: Node, x: Array) -> tuple[Array, Array]:
    return sum(windows_of(node, x, 0.0)) / node["divisor"], sum(windows_of(node, np.abs(x), 0.0)) / node["divisor"]


def l2_pool(node: Node, x: Array) -> tuple[Array, Array]:
    result = np.sqrt(sum(np.square(piece) for piece in windows_of(node, x, 0.0)))
    return result, result


def overlap(node: Node) -> int:
    """How many windows one pixel is in, at most."""
    dilation = node.settings.get("dilation") or [1] * len(node["kernel"])
    parts = zip(node["kernel"], node["stride"], dilation, strict=True)
    return math.prod(-(-k // (s // math.gcd(s, d))) for k, s, d in parts)


def repeats(node: Node) -> int:
    """How often padding repeats a pixel, at most, as N counts it."""
    total = 1
    for (left, right), size in zip(node["padding"], node.source[1:], strict=True):
        by_mode = {"zeros": 1, "reflect": 3, "replicate": 1 + left + right, "circular": 1 - -(left + right) // size}
        total *= by_mode[node["padding_mode"]]
    return total


def copies(node: Node, taps: Any) -> list[int]:
    """Per axis, how many positions that are read hold one and the same pixel, at most."""
    result = []
    for n, pair, k, s, d in zip(node.source[1:], node["padding"], taps, node["stride"], node["dilation"], strict=True):
        index = np.arange(n) if node["padding_mode"] == "zeros" else padded_index(n, pair, node["padding_mode"])
        outs = range(0, len(index) - d * (k - 1), s)
        read = sorted({o + d * t for o, t in itertools.product(outs, range(k))})
        result.append(1 if node["padding_mode"] == "zeros" else int(np.bincount(index[read]).max()))
    return result
