"""One case or more for every operation of a program, with an oracle in exact arithmetic: Fractions or 60 digits.

The oracles follow docs/file_formats.md and share nothing with the code: arrays of Python numbers, one sample each.
"""

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import mpmath
import numpy as np
import torch
from torch import Tensor

from taut.certify.program import affine, blocks, convolution, distances, entries, joins, learned, pools, shapes, sorts
from taut.certify.program.operation import Operation, Stored, stored

mpmath.mp.dps = 60
Exact = np.ndarray
"""Of Fractions, or of 60-digit numbers."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """An operation of one input, and what the table of the documents says of it."""

    operation: Operation
    shape: tuple[int, ...]
    exact: Callable[[Exact], Exact]
    k: int = 0
    m: Callable[[Exact], Exact] | None = None
    l2: float = 1.0
    """N, or for k = 0 the constant."""
    linf: float = 1.0
    sharp: bool = False
    """Whether the constant is attained, to 2e-3, at one of the points that the tests look at."""

    def __str__(self) -> str:
        settings = (f"{name}={value}" for name, value in self.operation.settings().items())
        return f"{self.operation.op}({', '.join(settings)}, {self.shape})".replace(" ", "")


def numbers(*shape: int, seed: int = 0) -> Stored:
    """Normal numbers in float64."""
    generator = torch.Generator().manual_seed(seed + sum(shape))
    return stored(torch.randn(*shape, generator=generator, dtype=torch.float64))


def exactly(values: Tensor | Stored) -> Exact:
    tensor = values.exact if isinstance(values, Stored) else values
    flat = np.array([Fraction(value) for value in tensor.flatten().tolist()] + [None], dtype=object)[:-1]
    return flat.reshape(tuple(tensor.shape))


def wide(values: Exact) -> Exact:
    """With 60 digits."""
    return mapped(
        lambda v: mpmath.mpf(v.numerator) / v.denominator if isinstance(v, Fraction) else mpmath.mpf(v), values
    )


def mapped(function: Callable[[Any], Any], values: Exact) -> Exact:
    array = np.asarray(values, dtype=object)
    result = np.empty(array.size, dtype=object)
    result[:] = [function(v) for v in array.flat]
    return result.reshape(array.shape)


def columns(values: Exact, rank: int) -> Exact:
    return values.reshape(-1, *[1] * (rank - 1))


# --- products

W = numbers(4, 6)
B = numbers(4, seed=1)


def linear_case(shape: tuple[int, ...], bias: Stored | None) -> Case:
    weight = exactly(W)
    offset = exactly(B) if bias is not None else 0
    return Case(
        operation=affine.Linear(weight=W, bias=bias),
        shape=shape,
        exact=lambda x: x @ weight.T + offset,
        k=7,
        m=lambda x: abs(x) @ abs(weight).T + abs(offset),
        l2=float(W.exact.norm()),
        linf=float(W.exact.abs().sum(1).max()),
        sharp=True,
    )


def padded_axis(size: int, left: int, right: int, mode: str) -> list[int | None]:
    """Which entry lies at each position; None for zeros."""
    positions = range(-left, size + right)
    if mode == "zeros":
        return [p if 0 <= p < size else None for p in positions]
    if mode == "circular":
        return [p % size for p in positions]
    if mode == "replicate":
        return [min(max(p, 0), size - 1) for p in positions]
    return [size - 1 - abs(size - 1 - abs(p)) for p in positions]


def convolved(x: Exact, weight: Exact, bias: Exact | None, options: dict[str, Any]) -> Exact:
    """Sum over taps and channels, by the definition."""
    rank, groups = x.ndim - 1, options["groups"]
    axes = [
        padded_axis(n, *pad, options["padding_mode"]) for n, pad in zip(x.shape[1:], options["padding"], strict=True)
    ]
    taps = weight.shape[2:]
    sizes = [
        (len(axis) - d * (t - 1) - 1) // s + 1
        for axis, d, t, s in zip(axes, options["dilation"], taps, options["stride"], strict=True)
    ]
    result = np.full((weight.shape[0], *sizes), Fraction(0), dtype=object)
    inputs, outputs = weight.shape[1], weight.shape[0] // groups
    for out, place, c in itertools.product(range(len(weight)), np.ndindex(*sizes), range(inputs)):
        source = x[out // outputs * inputs + c]
        for tap in np.ndindex(*taps):
            at = [axes[a][place[a] * options["stride"][a] + tap[a] * options["dilation"][a]] for a in range(rank)]
            if None not in at:
                result[(out, *place)] += weight[(out, c, *tap)] * source[tuple(at)]
    return result if bias is None else result + columns(bias, x.ndim)


def conv_case(shape: tuple[int, ...], weight: Stored, bias: Stored | None = None, **changes: Any) -> Case:
    rank = len(shape) - 1
    options: dict[str, Any] = {
        "stride": (1,) * rank,
        "padding": ((0, 0),) * rank,
        "dilation": (1,) * rank,
        "groups": 1,
        "padding_mode": "zeros",
        **changes,
    }
    kernel, offset = exactly(weight), None if bias is None else exactly(bias)
    taps = math.prod(weight.exact.shape[2:])
    times = {
        "zeros": lambda a, b, n: 1,
        "reflect": lambda a, b, n: 3,
        "replicate": lambda a, b, n: 1 + a + b,
        "circular": lambda a, b, n: 1 + math.ceil((a + b) / n),
    }[options["padding_mode"]]
    repeats = math.prod(times(a, b, n) for (a, b), n in zip(options["padding"], shape[1:], strict=True))
    return Case(
        operation=convolution.Conv(weight=weight, bias=bias, **options),
        shape=shape,
        exact=lambda x: convolved(x, kernel, offset, options),
        k=weight.exact[0].numel() + 1,
        m=lambda x: convolved(abs(x), abs(kernel), None if offset is None else abs(offset), options),
        l2=math.sqrt(taps * repeats) * float(weight.exact.norm()),
        linf=float(weight.exact.abs().flatten(1).sum(1).max()),
    )


def scattered(x: Exact, weight: Exact, bias: Exact | None, options: dict[str, Any]) -> Exact:
    """Every entry of the input adds the kernel, times itself, to the output."""
    rank, groups = x.ndim - 1, options["groups"]
    taps, outputs = weight.shape[2:], weight.shape[1]
    full = [
        (n - 1) * s + d * (t - 1) + 1 + p
        for n, s, d, t, p in zip(
            x.shape[1:], options["stride"], options["dilation"], taps, options["output_padding"], strict=True
        )
    ]
    result = np.full((outputs * groups, *full), Fraction(0), dtype=object)
    share = len(x) // groups
    for c, place, o in itertools.product(range(len(x)), np.ndindex(*x.shape[1:]), range(outputs)):
        for tap in np.ndindex(*taps):
            at = [place[a] * options["stride"][a] + tap[a] * options["dilation"][a] for a in range(rank)]
            result[(c // share * outputs + o, *at)] += weight[(c, o, *tap)] * x[(c, *place)]
    cut = tuple(slice(p, n - p) for p, n in zip(options["padding"], full, strict=True))
    result = result[(slice(None), *cut)]
    return result if bias is None else result + columns(bias, x.ndim)


def transposed_case(shape: tuple[int, ...], weight: Stored, bias: Stored | None = None, **changes: Any) -> Case:
    rank = len(shape) - 1
    options: dict[str, Any] = {
        "stride": (1,) * rank,
        "padding": (0,) * rank,
        "output_padding": (0,) * rank,
        "dilation": (1,) * rank,
        "groups": 1,
        **changes,
    }
    kernel, offset = exactly(weight), None if bias is None else exactly(bias)
    taps = math.prod(weight.exact.shape[2:])
    operation = convolution.ConvTranspose(weight=weight, bias=bias, **options)
    return Case(
        operation=operation,
        shape=shape,
        exact=lambda x: scattered(x, kernel, offset, options),
        k=len(weight.exact) // options["groups"] * taps + 1,
        m=lambda x: scattered(abs(x), abs(kernel), None if offset is None else abs(offset), options),
        l2=math.sqrt(taps) * float(weight.exact.norm()),
        linf=math.nan,  # the largest row sum, which the explicit matrix tells
    )


PRODUCTS = [
    linear_case((6,), B),
    linear_case((2, 3, 6), None),
    conv_case((2, 7), numbers(3, 2, 3), numbers(3), stride=(2,), padding=((2, 1),), dilation=(2,)),
    conv_case((2, 5), numbers(2, 2, 2), padding=((1, 3),), padding_mode="circular"),
    conv_case((4, 5, 4), numbers(4, 2, 3, 2), numbers(4), groups=2, stride=(2, 1), padding=((1, 1), (0, 2))),
    conv_case((2, 4, 5), numbers(2, 2, 3, 3), padding=((1, 1), (1, 1)), padding_mode="circular"),
    conv_case((1, 3, 4), numbers(2, 1, 3, 3), padding=((2, 2), (1, 3)), padding_mode="reflect", dilation=(1, 2)),
    conv_case((1, 3, 4), numbers(2, 1, 2, 3), numbers(2), padding=((2, 0), (1, 1)), padding_mode="replicate"),
    conv_case((2, 3, 3, 2), numbers(2, 1, 2, 2, 1), groups=2, padding=((1, 0), (0, 1), (1, 1)), stride=(1, 2, 1)),
    conv_case((1, 2, 3, 2), numbers(1, 1, 2, 3, 2), padding=((0, 1), (1, 1), (1, 0)), padding_mode="circular"),
    transposed_case((2, 5), numbers(2, 3, 3), numbers(3), stride=(2,), padding=(1,), output_padding=(1,)),
    transposed_case((4, 3, 2), numbers(4, 1, 3, 2), numbers(2), groups=2, dilation=(2, 1), padding=(1, 0)),
    transposed_case((2, 2, 2, 2), numbers(2, 2, 2, 1, 2), stride=(1, 2, 2), output_padding=(0, 1, 0)),
]

# --- entry by entry

X = (4, 3)
FACTOR, OFFSET = numbers(4, 1), numbers(4, 3, seed=2)
MEAN, WEIGHT, BIAS = numbers(4), numbers(4, seed=3), numbers(4, seed=4)
VARIANCE = stored(MEAN.exact.square() + 1e-3)


def batch_norm_case(shape: tuple[int, ...], weight: Stored | None, bias: Stored | None) -> Case:
    one = exactly(torch.ones(4))
    root = mapped(lambda v: mpmath.sqrt(v), wide(exactly(VARIANCE) + Fraction(1e-5)))
    scale = columns(wide(exactly(weight) if weight else one) / root, len(shape))
    mean = columns(wide(exactly(MEAN)), len(shape))
    offset = columns(wide(exactly(bias) if bias else 0 * one), len(shape))
    return Case(
        operation=affine.BatchNorm(mean=MEAN, variance=VARIANCE, weight=weight, bias=bias, eps=1e-5),
        shape=shape,
        exact=lambda x: (wide(x) - mean) * scale + offset,
        k=16,
        m=lambda x: (abs(wide(x)) + abs(mean)) * abs(scale) + abs(offset),
        l2=float(max(abs(scale).flat)),
        linf=float(max(abs(scale).flat)),
        sharp=True,
    )


def pointwise(operation: Operation, exact: Callable[[Exact], Exact], **options: Any) -> Case:
    """With one N for both norms."""
    n = options.pop("n", 1.0)
    return Case(operation=operation, shape=X, exact=exact, l2=n, linf=n, **options)


def clamped(x: Exact, low: float, high: float) -> Exact:
    ends = [Fraction(end) if math.isfinite(end) else end for end in (low, high)]
    return mapped(lambda v: min(max(v, ends[0]), ends[1]), x)


def smooth_case(kind: Any, exact: Callable[[Any], Any], alpha: float = 1.0) -> Case:
    return pointwise(
        entries.Smooth(kind=kind, alpha=alpha),
        lambda x: mapped(exact, wide(x)),
        k=1024,
        m=lambda x: abs(x) + Fraction(abs(alpha)),
    )


def sigmoid(v: Any) -> Any:
    return 1 / (1 + mpmath.exp(-v))


LOW, HIGH = numbers(4, seed=5), stored(numbers(4, seed=5).exact + 0.75)
SLOPES = stored(torch.tensor([-0.5, 0.25, -2.0, 1.5]))
ANGLES = numbers(2, seed=6).exact
NORMAL = stored(torch.stack([ANGLES.cos(), ANGLES.sin()]))
START, RISES, INVERSE = numbers(4, seed=7), numbers(4, 5, seed=8), stored(torch.tensor([0.5, 1.0, 3.0, 1e-3]))


def folded(x: Exact) -> Exact:
    (v, w), half = exactly(NORMAL), len(x) // 2
    a, b = x[:half], x[half:]
    v, w = columns(v, x.ndim), columns(w, x.ndim)
    twice = 2 * np.maximum(v * a + w * b, 0)
    return np.concatenate([a - twice * v, b - twice * w])


def folded_size(x: Exact) -> Exact:
    (v, w), half = abs(exactly(NORMAL)), len(x) // 2
    a, b = abs(x[:half]), abs(x[half:])
    v, w = columns(v, x.ndim), columns(w, x.ndim)
    twice = 2 * (v * a + w * b)
    return np.concatenate([a + twice * v, b + twice * w])


def splined(x: Exact) -> Exact:
    start, rises, inverse = exactly(START), exactly(RISES), exactly(INVERSE)
    result = np.empty(x.shape, dtype=object)
    for at in np.ndindex(*x.shape):
        c, pieces = at[0], rises.shape[1]
        p = inverse[c] * x[at] + Fraction(pieces, 2)
        i = min(max(math.floor(p), 0), pieces - 1)
        result[at] = start[c] + sum(rises[c, :i], Fraction(0)) + rises[c, i] * (p - i)
    return result


def splined_size(x: Exact) -> Exact:
    rises = abs(exactly(RISES))
    room = 1 + 2 * Fraction(7, 2**53 - 7)  # for the sum of the rises
    total = columns((abs(exactly(START)) + rises.sum(1)) * room, x.ndim)
    reach = abs(x * columns(exactly(INVERSE), x.ndim)) + Fraction(5, 2)
    return total + columns(rises.max(1), x.ndim) * reach


ENTRIES = [
    batch_norm_case((4,), WEIGHT, BIAS),
    batch_norm_case((4, 2, 3), None, None),
    pointwise(affine.Scale(factor=-0.3), lambda x: x * Fraction(-0.3), k=1, m=lambda x: abs(x) * Fraction(0.3), n=0.3),
    pointwise(
        affine.Multiply(factor=FACTOR),
        lambda x: x * exactly(FACTOR),
        k=1,
        m=lambda x: abs(x * exactly(FACTOR)),
        n=float(FACTOR.exact.abs().max()),
        sharp=True,
    ),
    pointwise(
        affine.Shift(offset=OFFSET),
        lambda x: x + exactly(OFFSET),
        k=1,
        m=lambda x: abs(x) + abs(exactly(OFFSET)),
        sharp=True,
    ),
    pointwise(blocks.Divide(divisor=3.0), lambda x: x / 3, k=1, m=lambda x: abs(x) / 3, n=1 / 3, sharp=True),
    pointwise(entries.ReLU(), lambda x: np.maximum(x, 0), sharp=True),
    pointwise(entries.Abs(), abs, sharp=True),
    pointwise(entries.Negate(), lambda x: -x, sharp=True),
    *(
        pointwise(
            entries.Clamp(low=low, high=high),
            lambda x, low=low, high=high: clamped(x, low, high),
            k=k,
            m=lambda x, size=size: mapped(lambda v: Fraction(size), x),
            n=0.0 if k else 1.0,
        )
        for low, high, size, k in (
            (-0.5, 0.25, 0.5, 1),
            (-math.inf, 2.0, 2.0, 0),
            (-0.1, math.inf, 0.1, 1),
            (0.0, 257.0, 257.0, 1),
        )
    ),
    *(
        pointwise(
            entries.LeakyReLU(slope=slope),
            lambda x, slope=slope: np.where(x > 0, x, x * Fraction(slope)),
            k=1,
            m=lambda x, slope=slope: abs(x) * max(Fraction(1), abs(Fraction(slope))),
            n=max(1.0, abs(slope)),
            sharp=True,
        )
        for slope in (0.01, -2.5)
    ),
    pointwise(
        learned.PReLU(weight=SLOPES),
        lambda x: np.where(x > 0, x, x * columns(exactly(SLOPES), x.ndim)),
        k=1,
        m=lambda x: abs(x) * columns(np.maximum(abs(exactly(SLOPES)), 1), x.ndim),
        n=2.0,
        sharp=True,
    ),
    pointwise(
        learned.PReLU(weight=stored(torch.tensor([0.3]))),
        lambda x: np.where(x > 0, x, x * Fraction(float(torch.tensor(0.3)))),
        k=1,
        m=abs,
        sharp=True,
    ),
    pointwise(
        learned.NActivation(low=LOW, high=HIGH),
        lambda x: x - 2 * np.minimum(np.maximum(x, columns(exactly(LOW), x.ndim)), columns(exactly(HIGH), x.ndim)),
        k=1,
        m=lambda x: abs(x) + 2 * columns(np.maximum(abs(exactly(LOW)), abs(exactly(HIGH))), x.ndim),
        sharp=True,
    ),
    pointwise(
        learned.Fold(normal=NORMAL),
        folded,
        k=8,
        m=folded_size,
        n=float(1 + 2 * NORMAL.exact.abs().sum(0).square().max()),
    ),
    pointwise(
        learned.Spline(start=START, rises=RISES, inverse_step=INVERSE),
        splined,
        k=21,
        m=splined_size,
        n=float((RISES.exact.abs().amax(1) * INVERSE.exact).max()),
    ),
    smooth_case("tanh", mpmath.tanh),
    smooth_case("sigmoid", sigmoid),
    smooth_case("silu", lambda v: v * sigmoid(v)),
    smooth_case("gelu", lambda v: v * mpmath.ncdf(v)),
    smooth_case("elu", lambda v: v if v > 0 else mpmath.mpf(0.7) * mpmath.expm1(v), 0.7),
    smooth_case("elu", lambda v: v if v > 0 else mpmath.mpf(-1.5) * mpmath.expm1(v), -1.5),
]

# --- sorts and places


def maxmin(x: Exact) -> Exact:
    a, b = np.split(x, 2)
    return np.concatenate([np.maximum(a, b), np.minimum(a, b)])


def along(function: Callable[[Exact], Exact], axis: int) -> Callable[[Exact], Exact]:
    return lambda x: np.moveaxis(function(np.moveaxis(x, axis, 0)), 0, axis)


def groups_sorted(size: int) -> Callable[[Exact], Exact]:
    return lambda x: np.concatenate([np.sort(x[at : at + size], axis=0) for at in range(0, len(x), size)])


def groups_largest(size: int) -> Callable[[Exact], Exact]:
    return lambda x: np.stack([x[at : at + size].max(0) for at in range(0, len(x), size)])


def place_case(operation: Operation, shape: tuple[int, ...], exact: Callable[[Exact], Exact], l2: float = 1.0) -> Case:
    return Case(operation=operation, shape=shape, exact=exact, l2=l2, sharp=True)


PLACES = [
    place_case(sorts.MaxMin(axis=0), (4, 3), maxmin),
    place_case(sorts.MaxMin(axis=1), (3, 6, 2), along(maxmin, 1)),
    place_case(sorts.GroupSort(axis=0, size=3), (6, 2), groups_sorted(3)),
    place_case(sorts.GroupSort(axis=1, size=2), (2, 4), along(groups_sorted(2), 1)),
    place_case(sorts.FullSort(axis=0), (5, 2), lambda x: np.sort(x, axis=0)),
    place_case(sorts.FullSort(axis=1), (2, 5), lambda x: np.sort(x, axis=1)),
    place_case(sorts.MaxOut(axis=0, size=2), (4, 2), groups_largest(2)),
    place_case(sorts.MaxOut(axis=1, size=3), (2, 6), along(groups_largest(3), 1)),
    place_case(shapes.Reshape(shape=(3, 4)), (2, 6), lambda x: x.reshape(3, 4)),
    place_case(shapes.Permute(axes=(2, 0, 1)), (2, 3, 4), lambda x: x.transpose(2, 0, 1)),
    place_case(shapes.Take(axis=0, index=(3, 1)), (4, 2), lambda x: x[[3, 1]]),
    place_case(shapes.Take(axis=1, index=(0, 2, 2, 2, 0)), (2, 3), lambda x: x[:, [0, 2, 2, 2, 0]], math.sqrt(3)),
    place_case(
        shapes.Pad(widths=((0, 0), (1, 2), (0, 1))),
        (2, 2, 3),
        lambda x: np.pad(x, ((0, 0), (1, 2), (0, 1)), constant_values=Fraction(0)),
    ),
]

# --- windows


def windows(x: Exact, kernel: Any, stride: Any, padding: Any, dilation: Any, fill: Any, ceil: bool) -> Exact:
    """The entries of every window, in the last axis."""
    rank = len(kernel)
    sizes = []
    for n, k, s, p, d in zip(x.shape[-rank:], kernel, stride, padding, dilation, strict=True):
        room = n + 2 * p - d * (k - 1) - 1
        size = (math.ceil if ceil else math.floor)(Fraction(room, s)) + 1
        sizes.append(size - 1 if ceil and (size - 1) * s >= n + p else size)  # a window must begin inside
    result = np.empty((*x.shape[:-rank], *sizes, math.prod(kernel)), dtype=object)
    for lead in np.ndindex(*x.shape[:-rank]):
        for place in np.ndindex(*sizes):
            for number, tap in enumerate(np.ndindex(*kernel)):
                at = [i * s - p + t * d for i, s, p, t, d in zip(place, stride, padding, tap, dilation, strict=True)]
                inside = all(0 <= a < n for a, n in zip(at, x.shape[-rank:], strict=True))
                result[(*lead, *place, number)] = x[(*lead, *at)] if inside else fill
    return result


def overlap(kernel: Any, stride: Any, dilation: Any) -> int:
    """Windows that an entry lies in, counted."""
    most = []
    for k, s, d in zip(kernel, stride, dilation, strict=True):
        most.append(max(sum((at - t * d) % s == 0 for t in range(k)) for at in range(s)))
    return math.prod(most)


def max_pool_case(shape: Any, kernel: Any, stride: Any, padding: Any, dilation: Any, *, ceil: bool = False) -> Case:
    return Case(
        operation=pools.MaxPool(kernel=kernel, stride=stride, padding=padding, dilation=dilation, ceil_mode=ceil),
        shape=shape,
        exact=lambda x: windows(x, kernel, stride, padding, dilation, -math.inf, ceil).max(-1),
        l2=math.sqrt(overlap(kernel, stride, dilation)),
    )


def sum_pool_case(shape: Any, kernel: Any, stride: Any, padding: Any, divisor: float) -> Case:
    taps, ones = math.prod(kernel), (1,) * len(kernel)

    def summed(x: Exact) -> Exact:
        return windows(x, kernel, stride, padding, ones, Fraction(0), False).sum(-1) / Fraction(divisor)

    return Case(
        operation=pools.SumPool(kernel=kernel, stride=stride, padding=padding, divisor=divisor),
        shape=shape,
        exact=summed,
        k=taps + 1,
        m=lambda x: abs(summed(abs(x))),
        l2=math.sqrt(taps * overlap(kernel, stride, ones)) / abs(divisor),
        linf=taps / abs(divisor),
    )


def rooted(x: Exact) -> Exact:
    return mapped(mpmath.sqrt, wide((x * x).sum(-1)))


def l2_pool_case(shape: Any, kernel: Any, stride: Any) -> Case:
    taps, rank = math.prod(kernel), len(kernel)

    def norms(x: Exact) -> Exact:
        return rooted(windows(x, kernel, stride, (0,) * rank, (1,) * rank, None, False))

    return Case(
        operation=pools.L2Pool(kernel=kernel, stride=stride),
        shape=shape,
        exact=norms,
        k=taps + 4,
        m=norms,
        l2=math.sqrt(overlap(kernel, stride, (1,) * rank)),
        linf=math.sqrt(taps),
    )


def last(x: Exact, axes: tuple[int, ...]) -> Exact:
    """These axes as one, at the end."""
    rest = [axis for axis in range(x.ndim) if axis not in axes]
    return x.transpose(*rest, *axes).reshape(*(x.shape[axis] for axis in rest), -1)


def reduced(shape: tuple[int, ...], axes: tuple[int, ...], divisor: float) -> list[Case]:
    count = math.prod(shape[axis] for axis in axes)
    return [
        Case(
            operation=pools.Sum(axes=axes, divisor=divisor),
            shape=shape,
            exact=lambda x: np.asarray(last(x, axes).sum(-1) / Fraction(divisor)),
            k=count + 1,
            m=lambda x: np.asarray(abs(last(abs(x), axes).sum(-1) / Fraction(divisor))),
            l2=math.sqrt(count) / abs(divisor),
            linf=count / abs(divisor),
            sharp=True,
        ),
        Case(
            operation=pools.L2Norm(axes=axes),
            shape=shape,
            exact=lambda x: rooted(last(x, axes)),
            k=count + 4,
            m=lambda x: rooted(last(x, axes)),
            l2=1.0,
            linf=math.sqrt(count),
        ),
        Case(
            operation=pools.Max(axes=axes),
            shape=shape,
            exact=lambda x: np.asarray(last(x, axes).max(-1)),
            sharp=True,
        ),
    ]


WINDOWS = [
    max_pool_case((2, 7), (3,), (2,), (1,), (1,)),
    max_pool_case((1, 8), (3,), (2,), (0,), (2,), ceil=True),
    max_pool_case((2, 5, 6), (3, 2), (2, 2), (1, 0), (1, 1), ceil=True),
    max_pool_case((1, 6, 7), (2, 3), (1, 3), (0, 1), (2, 2)),
    max_pool_case((1, 3, 4, 4), (2, 2, 2), (1, 2, 1), (0, 0, 1), (1, 1, 1)),
    sum_pool_case((2, 7), (3,), (2,), (1,), 3.0),
    sum_pool_case((1, 5, 4), (3, 2), (2, 1), (1, 1), 5.0),
    sum_pool_case((1, 5, 4), (2, 2), (2, 2), (0, 0), -0.7),
    sum_pool_case((1, 3, 4, 2), (2, 2, 1), (1, 2, 1), (0, 1, 0), 4.0),
    l2_pool_case((2, 7), (3,), (2,)),
    l2_pool_case((1, 4, 5), (2, 2), (2, 1)),
    *reduced((5,), (0,), 5.0),
    *reduced((3, 2, 4), (0, 2), -3.0),
    *reduced((2, 3), (0, 1), 1.0),
]

# --- distances


def distance_case(q: float, bias: Stored | None) -> Case:
    weight, offset = exactly(W), exactly(B) if bias is not None else exactly(torch.zeros(4))
    drop = Fraction(q)

    def ranked(x: Exact) -> Exact:
        sizes = -np.sort(-abs(x[..., None, :] - weight), axis=-1)
        ranks = np.array([(1 - drop) * drop**i for i in range(weight.shape[1])], dtype=object)
        return (sizes * ranks).sum(-1) + offset

    return Case(
        operation=distances.Distance(weight=W, bias=bias, q=q),
        shape=(6,),
        exact=ranked,
        k=2 if q == 0 else 4 * 6 + 64 + math.ceil(16 / (1 - q)),
        m=lambda x: abs(x[..., None, :] - weight).max(-1) + abs(offset),
        l2=2.0,
        linf=1.0,
    )


DISTANCES = [distance_case(0.0, B), distance_case(0.0, None), distance_case(0.3, B), distance_case(0.99, None)]

# --- blocks


def resized(x: Exact, axis: int, size: int) -> Exact:
    """Zeros appended, or entries cut."""
    if x.shape[axis] >= size:
        return x.take(range(size), axis)
    widths = [(0, size - n if at == axis else 0) for at, n in enumerate(x.shape)]
    return np.pad(x, widths, constant_values=Fraction(0))


def residual(block: blocks.Residual, x: Exact) -> Exact:
    settings, tensors = block.settings(), {name: exactly(value) for name, value in block.tensors().items()}

    def affine(side: str, values: Exact) -> Exact:
        weight, bias = tensors[f"{side}_weight"], tensors.get(f"{side}_bias")
        if settings["kind"] == "linear":
            return values @ weight.T + (0 if bias is None else bias)
        plain = {"stride": (1, 1), "groups": 1}
        return convolved(
            values, weight, bias, {**plain, **{k: settings[k] for k in ("padding", "dilation", "padding_mode")}}
        )

    branch = affine("outer", np.maximum(affine("inner", x), 0))
    axis = -1 if settings["kind"] == "linear" else 0
    return resized(x, axis % x.ndim, branch.shape[axis]) - branch if settings["shortcut"] else branch


def exponential(block: blocks.Exponential, x: Exact) -> Exact:
    settings, tensors = block.settings(), {name: exactly(value) for name, value in block.tensors().items()}
    kernel = tensors["kernel"]
    options = {"stride": (1, 1), "dilation": (1, 1), "groups": 1}
    options |= {key: settings[key] for key in ("padding", "padding_mode")}
    assert settings["channels"][0] == len(x)
    power = total = resized(x, 0, len(kernel))
    for i in range(1, settings["terms"]):
        power = convolved(power, kernel, None, options) / i
        total = total + power
    total = resized(total, 0, settings["channels"][1])
    return total + tensors["bias"].reshape(-1, 1, 1) if "bias" in tensors else total


CASES: list[Case] = [*PRODUCTS, *ENTRIES, *PLACES, *WINDOWS, *DISTANCES]

JOINED: list[tuple[Operation, tuple[tuple[int, ...], ...], Callable[..., Exact]]] = [
    (joins.Add(), ((2, 3), (2, 3)), lambda x, y: x + y),
    (joins.Subtract(), ((2, 3), (2, 3)), lambda x, y: x - y),
    (joins.Maximum(), ((2, 3), (2, 3)), np.maximum),
    (joins.Minimum(), ((2, 3), (2, 3)), np.minimum),
    (joins.Concat(axis=0), ((2, 3), (1, 3), (4, 3)), lambda *xs: np.concatenate(xs)),
    (joins.Concat(axis=1), ((2, 3), (2, 1)), lambda *xs: np.concatenate(xs, axis=1)),
]
"""Operations of several inputs: shapes and oracle."""
