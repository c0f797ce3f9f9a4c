"""Random networks as people write them: forward graphs with branches, windows, rearrangements and layers of taut."""

import math
import random
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from taut import nn as tnn

Step = Callable[[list[Tensor]], Tensor]
Shape = tuple[int, ...]


class Drawn(nn.Module):
    """Applies its steps one after the other to all that was computed so far; the last result is the output."""

    def __init__(self, steps: list[Step], parts: list[nn.Module], words: list[str]) -> None:
        super().__init__()
        self.steps, self.words = steps, words
        self.parts = nn.ModuleList(parts)

    def forward(self, x: Tensor) -> Tensor:
        values = [x]
        for step in self.steps:
            values.append(step(self, values))  # type: ignore[call-arg]
        return values[-1]


class Kept(nn.Module):
    """A constant of the network, cast with it."""

    def __init__(self, value: Tensor) -> None:
        super().__init__()
        self.register_buffer("value", value)


class Drawing:
    """A network in the making."""

    def __init__(self, seed: int, *, images: bool) -> None:
        self.random = random.Random(seed)
        torch.manual_seed(seed)
        self.shape: Shape = (
            (self.random.choice([1, 2, 3, 4]), self.random.choice([1, 4, 5, 6, 8]), self.random.choice([4, 5, 7, 8]))
            if images
            else (self.random.choice([2, 3, 4, 6, 8]),)
        )
        self.values = [torch.randn(3, *self.shape)]
        self.steps: list[Any] = []
        self.parts: list[nn.Module] = []
        self.words: list[str] = []

    def number(self, low: int, high: int) -> int:
        return self.random.randint(low, high)

    def add(self, word: str, step: Any, *parts: nn.Module) -> bool:
        """Keep a step if torch can carry it out; whether it could."""
        trial = Drawn([step], [*self.parts, *parts], []).eval()
        try:
            with torch.no_grad():
                result = step(trial, [value.clone() for value in self.values])
        except (RuntimeError, ValueError, IndexError, TypeError, NotImplementedError):
            return False
        if result.ndim < 2 or len(result) != 3 or not 0 < result[0].numel() <= 600:
            return False
        if not bool(torch.isfinite(result).all()) or float(result.abs().amax()) > 1e3:
            return False
        self.values.append(result)
        self.steps.append(step)
        self.parts.extend(parts)
        self.words.append(word)
        return True

    def module(self, word: str, make: Callable[[], nn.Module], source: int = -1) -> bool:
        place = len(self.parts)
        try:
            part = make().eval()
        except (RuntimeError, ValueError, TypeError, IndexError):
            return False
        return self.add(word, lambda net, v: net.parts[place](v[source]), part)

    def function(self, word: str, call: Callable[[Tensor], Tensor]) -> bool:
        return self.add(word, lambda net, v: call(v[-1]))

    def with_constants(self, word: str, call: Callable[..., Tensor], *constants: Tensor) -> bool:
        first, last = len(self.parts), len(self.parts) + len(constants)
        return self.add(
            word,
            lambda net, v: call(v[-1], *(net.parts[place].value for place in range(first, last))),
            *(Kept(value) for value in constants),
        )


def draw(seed: int, *, images: bool = True, length: int = 6) -> tuple[Drawn, Shape, list[str]]:
    """A network that returns a vector of 2 to 5 logits, the shape of its samples, and the names of its steps."""
    drawing = Drawing(seed, images=images)
    wanted = drawing.number(1, length)
    for _ in range(20 * length):
        if len(drawing.steps) >= wanted:
            break
        rank = drawing.values[-1].ndim - 1
        options = _ANYWHERE + (_IMAGES if rank == 3 else _VECTORS if rank == 1 else [])
        drawing.random.choice(options)(drawing)
    _finish(drawing)
    model = Drawn(drawing.steps, drawing.parts, drawing.words).eval()
    _spread(model, drawing.random)
    return model, drawing.shape, drawing.words


def _finish(d: Drawing) -> None:
    if d.values[-1].ndim > 2:
        d.function("flatten", lambda x: x.flatten(1))
    width = d.values[-1].shape[1]
    if width > 1 and d.random.random() < 0.15:
        return
    classes = d.number(2, 5)
    head = d.random.choice([nn.Linear, tnn.UnitNormLinear, tnn.BjorckLinear])
    d.module("head", lambda: head(width, classes))
    if d.random.random() < 0.2:
        factor = d.random.choice([2.0, -0.3])
        d.function("scaled", lambda x: x * factor)


def _spread(model: Drawn, rng: random.Random) -> None:
    """Biases and statistics that are not those of a fresh layer."""
    for part in model.modules():
        if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d):
            for value in (part.running_mean, part.bias):
                nn.init.normal_(value)
            for value in (part.running_var, part.weight):
                nn.init.uniform_(value, 0.2, 2.0)


# --- steps ------------------------------------------------------------------------------------------------------------


def _conv(d: Drawing) -> bool:
    c, groups = d.values[-1].shape[1], d.random.choice([1, 1, 1, 2, d.values[-1].shape[1]])
    kernel = (d.number(1, 3), d.number(1, 3))
    mode = d.random.choice(["zeros", "zeros", "reflect", "replicate", "circular"])
    padding = d.random.choice([0, 1, (0, 1), "same"])
    stride = 1 if padding == "same" else d.random.choice([1, 1, 2, (2, 1), 3])
    options = {"stride": stride, "padding": padding, "dilation": d.random.choice([1, 1, 2]), "groups": groups}
    out = groups * d.number(1, 3)
    return d.module(
        "conv", lambda: nn.Conv2d(c, out, kernel, padding_mode=mode, bias=d.random.random() < 0.7, **options)
    )


def _conv_function(d: Drawing) -> bool:
    c = d.values[-1].shape[1]
    weight = torch.randn(d.number(1, 4), c, 2, 3) / math.sqrt(6 * c)
    stride, padding = d.random.choice([1, 2]), d.random.choice([0, 1])
    return d.with_constants(
        "F.conv2d",
        lambda x, w, b: F.conv2d(x, w, b, stride=stride, padding=padding),
        weight,
        torch.randn(len(weight)),
    )


def _transposed(d: Drawing) -> bool:
    c, groups = d.values[-1].shape[1], d.random.choice([1, 1, 2])
    options = {"stride": d.number(1, 2), "padding": d.number(0, 1), "dilation": d.number(1, 2), "groups": groups}
    return d.module(
        "conv_transpose",
        lambda: nn.ConvTranspose2d(
            c, groups * d.number(1, 2), d.number(1, 3), output_padding=d.random.choice([0, 0, 1]), **options
        ),
    )


def _conv1d(d: Drawing) -> bool:
    c = d.values[-1].shape[1]
    kernel, stride = d.number(1, 3), d.number(1, 2)
    before = len(d.steps)
    if not d.function("flatten 2", lambda x: x.flatten(2)):
        return False
    d.module("conv1d", lambda: nn.Conv1d(c, d.number(1, 4), kernel, stride=stride, padding=d.number(0, 1)))
    return len(d.steps) > before


def _max_pool(d: Drawing) -> bool:
    options = {
        "kernel_size": d.random.choice([2, 3, (1, 2)]),
        "stride": d.random.choice([None, 1, 2, 3]),
        "padding": d.number(0, 1),
        "dilation": d.number(1, 2),
        "ceil_mode": d.random.random() < 0.5,
    }
    if d.random.random() < 0.5:
        return d.function("F.max_pool2d", lambda x: F.max_pool2d(x, **options))
    return d.module("max_pool", lambda: nn.MaxPool2d(**options))


def _average_pool(d: Drawing) -> bool:
    options = {
        "kernel_size": d.random.choice([2, 3, (2, 1)]),
        "stride": d.random.choice([None, 1, 2]),
        "padding": d.number(0, 1),
        "ceil_mode": d.random.random() < 0.3,
        "count_include_pad": d.random.random() < 0.7,
    }
    if d.random.random() < 0.5:
        return d.function("F.avg_pool2d", lambda x: F.avg_pool2d(x, **options))
    return d.module("avg_pool", lambda: nn.AvgPool2d(**options, divisor_override=d.random.choice([None, None, 3])))


def _adaptive(d: Drawing) -> bool:
    size = d.random.choice([1, 2, (1, 2), (None, 1), 4])
    kind = d.random.choice([nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d])
    return d.module(kind.__name__, lambda: kind(size))


def _taut_image(d: Drawing) -> bool:
    c = d.values[-1].shape[1]
    out = d.number(1, 5)
    makes: list[Callable[[], nn.Module]] = [
        lambda: tnn.AOLConv2d(c, out, 3, padding=1),
        lambda: tnn.RKOConv2d(c, out, 3, padding=1),
        lambda: tnn.BCOPConv2d(c, out, 3),
        lambda: tnn.SpectralNormConv2d(c, out, 3, padding=1),
        lambda: tnn.SLLConv2d(c, c, 3),
        lambda: tnn.CPLConv2d(c, c, 3),
        lambda: tnn.SandwichConv2d(c, out, 3),
        lambda: tnn.SOCConv2d(c, out, 3),
        lambda: tnn.CayleyConv2d(c, c, 3),
        lambda: tnn.LInfConv2d(c, out, 3, padding=1),
        lambda: tnn.MaxPool2d(2),
        lambda: tnn.L2NormPool2d(2),
        lambda: tnn.ScaledAvgPool2d(2),
        lambda: tnn.InvertibleDownsampling(2),
        lambda: tnn.InvertibleUpsampling(2),
        lambda: tnn.ChannelPad(c, c + 2),
        lambda: tnn.LiResNetConv2d(c),
        lambda: tnn.GlobalAvgPool(),
        lambda: tnn.GlobalL2NormPool(),
        lambda: tnn.GlobalMaxPool(),
        lambda: tnn.Residual(tnn.AOLConv2d(c, c, 3, padding=1)),
        lambda: tnn.ScaledResidual(tnn.SpectralNormConv2d(c, c, 3, padding=1), scale=0.3),
        lambda: tnn.ConvexResidual(tnn.Sequential(tnn.RKOConv2d(c, c, 3, padding=1), nn.ReLU())),
        lambda: tnn.Concatenation(tnn.AOLConv2d(c, 2, 1), nn.ReLU()),
        lambda: tnn.Average(nn.ReLU(), tnn.Abs()),
        lambda: tnn.Parallel(nn.ReLU(), tnn.Abs(), channels=(1, c - 1)),
        lambda: tnn.LipNeXtBlock(c),
        lambda: nn.PixelUnshuffle(2),
        lambda: nn.PixelShuffle(2),
    ]
    index = d.number(0, len(makes) - 1)
    return d.module(f"taut image {index}", makes[index])


def _taut_vector(d: Drawing) -> bool:
    n = d.values[-1].shape[-1]
    out = d.number(2, 8)
    linear = d.random.choice(list(tnn.linears().values()))
    makes: list[Callable[[], nn.Module]] = [
        lambda: linear(n, out),
        lambda: linear(n, n),
        lambda: linear(n, n),
        lambda: tnn.Residual(tnn.BjorckLinear(n, n)),
        lambda: tnn.ScaledResidual(tnn.Sequential(tnn.SLLLinear(n, n), tnn.Abs()), scale=0.7),
        lambda: tnn.LayerCentering(),
        lambda: tnn.Sequential(tnn.BjorckLinear(n, out), tnn.MaxMin(), lipschitz=2.0),
        lambda: nn.Linear(n, out),
        lambda: nn.BatchNorm1d(n),
    ]
    index = d.number(0, len(makes) - 1)
    return d.module(f"taut vector {index} {linear.__name__}", makes[index])


def _activation(d: Drawing) -> bool:
    c = d.values[-1].shape[1]
    makes: list[Callable[[], nn.Module]] = [
        nn.ReLU,
        lambda: nn.Sequential(tnn.Scale(2.0), nn.ReLU(inplace=True)),
        nn.ReLU6,
        nn.Tanh,
        nn.Sigmoid,
        nn.SiLU,
        nn.GELU,
        nn.ELU,
        lambda: nn.LeakyReLU(0.2),
        lambda: nn.Hardtanh(-0.5, 0.7),
        lambda: nn.PReLU(d.random.choice([1, c])),
        nn.Softplus,
        nn.Hardswish,
        tnn.Abs,
        tnn.MaxMin,
        tnn.FullSort,
        tnn.ConcatReLU,
        lambda: tnn.GroupSort(d.random.choice([2, 3])),
        lambda: tnn.MaxOut(2),
        lambda: tnn.HouseholderActivation(c),
        lambda: tnn.LinearSpline(c),
        lambda: tnn.LipschitzPReLU(c),
        lambda: tnn.NActivation(c),
        tnn.Smooth,
        tnn.SmoothMaxMin,
        lambda: nn.BatchNorm2d(c),
        lambda: nn.Dropout(0.3),
        nn.Identity,
    ]
    index = d.number(0, len(makes) - 1)
    return d.module(f"activation {index}", makes[index])


def _branches(d: Drawing) -> bool:
    """Sums, differences, maxima and joins of two things that were computed."""
    last = len(d.values) - 1
    other = d.random.choice(range(len(d.values)))
    one, two = d.values[last], d.values[other]
    if one.shape == two.shape:
        call = d.random.choice(
            [torch.add, torch.sub, torch.maximum, torch.minimum, lambda a, b: a - b, lambda a, b: b + a]
        )
        return d.add("branches", lambda net, v: call(v[last], v[other]))
    return d.add("cat", lambda net, v: torch.cat((v[other], v[last]), 1))


def _pieces(d: Drawing) -> bool:
    axis = d.number(1, d.values[-1].ndim - 1)

    def swapped(x: Tensor) -> Tensor:
        a, b = x.chunk(2, axis)
        return torch.cat((b.relu(), a), axis)

    def added(x: Tensor) -> Tensor:
        a, b = x.chunk(2, dim=axis)
        return a + 0.5 * b

    def split(x: Tensor) -> Tensor:
        pieces = x.split(2, axis)
        return torch.cat([-piece for piece in reversed(pieces)], axis)

    def stacked(x: Tensor) -> Tensor:
        return torch.stack((x, x.abs(), -x), axis)

    return d.function("pieces", d.random.choice([swapped, added, split, stacked]))


def _arithmetic(d: Drawing) -> bool:
    shape = d.values[-1].shape[1:]
    factor = d.random.choice([0.5, -1.25, 3.0, 0.1, -7])
    tensor = torch.randn(d.random.choice([shape, shape[-1:], (1, *shape), (1, *[1] * len(shape))]))
    calls: list[Callable[[Tensor], Tensor]] = [
        lambda x: x * factor,
        lambda x: factor * x,
        lambda x: x / factor,
        lambda x: x + factor,
        lambda x: factor - x,
        lambda x: x - factor,
        lambda x: -x,
        lambda x: x.mul(factor).add(1.0),
        lambda x: torch.sub(x, x.abs(), alpha=2),
        lambda x: torch.add(x, 1.0, alpha=0.25),
        lambda x: torch.lerp(x, x.relu(), 0.3),
        lambda x: x.clamp(-0.5, 0.8),
        lambda x: x.clamp(min=0.1),
        lambda x: F.relu(x * 1.0, inplace=True),
        lambda x: torch.where(x > 0, x, 0.1 * x),
        lambda x: x.relu_() + x,
    ]
    with_tensor: list[Callable[[Tensor, Tensor], Tensor]] = [
        lambda x, t: x * t,
        lambda x, t: t - x,
        lambda x, t: x + t,
    ]
    if d.random.random() < 0.3:
        return d.with_constants("with a tensor", d.random.choice(with_tensor), tensor)
    index = d.number(0, len(calls) - 1)
    return d.function(f"arithmetic {index}", calls[index])


def _rearranged(d: Drawing) -> bool:
    rank = d.values[-1].ndim
    axis, axis2 = d.number(1, rank - 1), d.number(1, rank - 1)
    order = [0, *d.random.sample(range(1, rank), rank - 1)]
    shift = d.number(-3, 3)
    calls: list[Callable[[Tensor], Tensor]] = [
        lambda x: x.permute(order),
        lambda x: x.transpose(axis, axis2),
        lambda x: x.flip(axis),
        lambda x: x.roll(shift, axis),
        lambda x: torch.roll(x, (shift, 1), (axis, axis2)),
        lambda x: x.narrow(axis, 0, max(1, x.shape[axis] - 1)),
        lambda x: x[:, ::2],
        lambda x: x[..., 1:],
        lambda x: x[:, 0],
        lambda x: x.view(x.shape[0], -1) if rank > 2 else x.unsqueeze(1),
        lambda x: x.reshape(x.shape[0], -1, x.shape[1]),
        lambda x: x.unsqueeze(axis).squeeze(axis),
        lambda x: x.repeat_interleave(2, axis),
        lambda x: torch.cat((x, x), axis),
        lambda x: x.unfold(axis, 2, 1).flatten(-2),
        lambda x: x.flatten(1),
        lambda x: x.contiguous(memory_format=torch.channels_last) if rank == 4 else x.contiguous(),
        lambda x: F.pad(x, (1, 2)),
        lambda x: F.pad(x, (1, 0, 0, 2)),
        lambda x: F.pad(x, (-1, 0)),
        lambda x: F.pad(x, (1, 1), mode="circular"),
        lambda x: F.interpolate(x, scale_factor=2),
        lambda x: x.expand(-1, *x.shape[1:]),
    ]
    index = d.number(0, len(calls) - 1)
    return d.function(f"rearranged {index}", calls[index])


def _reduced(d: Drawing) -> bool:
    rank = d.values[-1].ndim
    axis, keep = d.number(1, rank - 1), d.random.random() < 0.5
    axes = tuple(d.random.sample(range(1, rank), d.number(1, rank - 1)))
    calls: list[Callable[[Tensor], Tensor]] = [
        lambda x: x.mean(axis, keepdim=keep),
        lambda x: x.sum(axes, keepdim=keep),
        lambda x: x.mean(axes),
        lambda x: x.amax(axes, keepdim=keep),
        lambda x: torch.amin(x, axis, keepdim=keep),
        lambda x: torch.linalg.vector_norm(x, dim=axes, keepdim=keep),
        lambda x: x.norm(dim=axis),
        lambda x: x.max(axis).values,
        lambda x: x - x.mean(axis, keepdim=True),
    ]
    index = d.number(0, len(calls) - 1)
    return d.function(f"reduced {index}", calls[index])


def _matrix(d: Drawing) -> bool:
    n = d.values[-1].shape[-1]
    weight = torch.randn(n, d.number(2, 6)) / math.sqrt(n)
    return d.random.choice(
        [
            lambda: d.with_constants("matmul", torch.matmul, weight),
            lambda: d.with_constants("F.linear", F.linear, weight.T.contiguous()),
            lambda: d.module("linear", lambda: nn.Linear(n, 4)),
        ]
    )()


_ANYWHERE = [_activation, _activation, _branches, _branches, _pieces, _arithmetic, _rearranged, _reduced, _matrix]
_IMAGES = [
    _conv,
    _conv,
    _conv,
    _conv_function,
    _transposed,
    _conv1d,
    _max_pool,
    _average_pool,
    _adaptive,
    _taut_image,
    _taut_image,
    _taut_image,
]
_VECTORS = [_taut_vector, _taut_vector, _taut_vector]
