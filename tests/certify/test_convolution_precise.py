"""Bounds of convolutions against 40-digit arithmetic: the operator is written out entry by entry, and s^2 I - A^T A is
positive semi-definite if and only if s is not below the norm of A."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import mpmath
import pytest
import torch
from torch import Tensor, nn

from taut.certify import conv_norm_bound

DIGITS = 40
EQUAL = 35
"""A pivot of less than 10^-EQUAL times s^2 is zero: 40 digits carry products of two float64 numbers exactly."""


@pytest.fixture(autouse=True)
def forty_digits() -> Iterator[None]:
    with mpmath.workdps(DIGITS):
        yield


@dataclass(frozen=True, kw_only=True)
class Layer:
    """A convolution without its weight, and the image."""

    image: tuple[int, ...]
    kernel: tuple[int, ...]
    stride: int = 1
    dilation: int = 1
    padding: int = 0
    mode: str = "zeros"
    groups: int = 1
    transposed: bool = False
    inputs: int = 2
    outputs: int = 2

    @property
    def shape(self) -> tuple[int, ...]:
        first, second = (self.inputs, self.outputs) if self.transposed else (self.outputs, self.inputs)
        return first, second // self.groups, *self.kernel

    @property
    def options(self) -> dict[str, Any]:
        names = ("stride", "dilation", "padding", "groups")
        return {name: getattr(self, name) for name in names}


LAYERS = (
    Layer(image=(6,), kernel=(3,), padding=1),
    Layer(image=(9,), kernel=(4,), stride=2, padding=2),
    Layer(image=(8,), kernel=(3,), stride=3, dilation=2, padding=2),
    Layer(image=(5,), kernel=(3,), padding=1, groups=2, inputs=4),
    Layer(image=(5,), kernel=(3,), padding=1, mode="circular"),
    Layer(image=(4,), kernel=(3,), padding=2, dilation=2, mode="circular"),
    Layer(image=(6,), kernel=(4,), stride=2, padding=1, mode="circular"),
    Layer(image=(7,), kernel=(3,), stride=2, padding=1, mode="circular"),
    Layer(image=(5,), kernel=(3,), padding=2, mode="reflect"),
    Layer(image=(4,), kernel=(5,), padding=2, mode="replicate"),
    Layer(image=(4,), kernel=(3,), stride=2, transposed=True),
    Layer(image=(4,), kernel=(4,), stride=3, padding=1, dilation=2, groups=2, transposed=True),
    Layer(image=(3, 3), kernel=(3, 3), padding=1, inputs=1),
    Layer(image=(2, 3), kernel=(3, 3), padding=1, mode="circular"),
    Layer(image=(4, 4), kernel=(3, 2), stride=2, padding=1, inputs=1, outputs=3),
    Layer(image=(3, 3), kernel=(3, 3), padding=1, mode="reflect", inputs=1, outputs=1),
    Layer(image=(3, 2), kernel=(3, 3), padding=2, mode="replicate", inputs=1, outputs=1),
    Layer(image=(2, 2), kernel=(2, 2), stride=2, padding=1, transposed=True, inputs=3, outputs=1),
    Layer(image=(2, 2, 2), kernel=(2, 2, 2), padding=1, inputs=1, outputs=2),
    Layer(image=(2, 2, 2), kernel=(2, 1, 2), padding=1, mode="circular", inputs=1, outputs=1),
)


def kernels(shape: tuple[int, ...], seed: int) -> Iterator[tuple[str, Tensor]]:
    """Random and nasty weights."""
    generator = torch.Generator().manual_seed(seed)
    base = torch.randn(shape, generator=generator, dtype=torch.float64)
    single = torch.zeros(shape, dtype=torch.float64)
    single[(0,) * len(shape)] = -1.7
    rank_one = base.flatten(1)[:, :1] @ base.flatten(1)[:1]
    equal = torch.zeros(shape, dtype=torch.float64).flatten(2)
    equal[:, :, 0] = torch.eye(*shape[:2], dtype=torch.float64) * (1.0 + 2.0**-50 * base.flatten(2)[:, :, 0])
    yield "random", base
    yield "positive", base.abs()
    yield "ones", torch.ones(shape, dtype=torch.float64)
    yield "zero", torch.zeros(shape)
    yield "single entry", single
    yield "rank one", rank_one.view(shape)
    yield "nearly equal singular values", equal.view(shape)
    yield "nearly orthogonal", equal.view(shape) + 1e-9 * base
    yield "huge", base * 1e150
    yield "tiny", base * 1e-150
    yield "at the upper end", base.sign() * 1e307
    yield "subnormal", base * 1e-318
    yield "smallest", base.sign() * 5e-324
    yield "far apart", base * 10.0 ** torch.randint(-150, 151, shape, generator=generator).double()
    yield "float32", base.float()
    yield "bfloat16", base.to(torch.bfloat16)
    yield "float16, subnormal", (base * 1e-7).half()


def places(layer: Layer) -> Iterator[tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]]:
    """Output position, tap and input position that are connected; padding by zeros connects to nothing."""
    spans = [layer.dilation * (k - 1) for k in layer.kernel]
    if layer.transposed:
        sizes = [(n - 1) * layer.stride - 2 * layer.padding + s + 1 for n, s in zip(layer.image, spans, strict=True)]
    else:
        sizes = [(n + 2 * layer.padding - s - 1) // layer.stride + 1 for n, s in zip(layer.image, spans, strict=True)]
    lines = []
    for n, size, taps in zip(layer.image, sizes, layer.kernel, strict=True):
        line = []
        for tap, place in product(range(taps), range(n if layer.transposed else size)):
            other = place * layer.stride - layer.padding + tap * layer.dilation
            if layer.transposed and 0 <= other < size:
                line.append((other, tap, place))
            if not layer.transposed and (source := _source(other, n, layer.mode)) is not None:
                line.append((place, tap, source))
        lines.append(line)
    for combination in product(*lines):
        out, tap, source = zip(*combination, strict=True)
        yield out, tap, source


def _source(place: int, n: int, mode: str) -> int | None:
    """The pixel that padding puts at a place outside of [0, n)."""
    if 0 <= place < n:
        return place
    if mode == "zeros":
        return None
    if mode == "circular":
        return place % n
    if mode == "replicate":
        return min(max(place, 0), n - 1)
    return -place if place < 0 else 2 * (n - 1) - place


def operator(layer: Layer, weight: Tensor) -> mpmath.matrix:
    """All entries, sums of weights where a small image sees a pixel twice."""
    values = weight.double().tolist()
    entries: dict[tuple[Any, Any], mpmath.mpf] = {}
    o, i = layer.outputs // layer.groups, layer.inputs // layer.groups
    for out, tap, source in places(layer):
        for group, a, b in product(range(layer.groups), range(o), range(i)):
            value: Any = values[group * i + b][a] if layer.transposed else values[group * o + a][b]
            for t in tap:
                value = value[t]
            key = (group * o + a, *out), (group * i + b, *source)
            entries[key] = entries.get(key, mpmath.mpf(0)) + mpmath.mpf(value)
    rows, columns = (sorted({key[side] for key in entries}) for side in (0, 1))
    matrix = mpmath.zeros(len(rows), len(columns))
    for (row, column), value in entries.items():
        matrix[rows.index(row), columns.index(column)] = value
    return matrix


def gram(matrix: mpmath.matrix) -> list[list[mpmath.mpf]]:
    """A^T A or A A^T, the smaller."""
    lines = matrix.tolist() if matrix.rows <= matrix.cols else matrix.T.tolist()
    return [[mpmath.fdot(a, b) for b in lines] for a in lines]


def is_below(value: float, square: list[list[mpmath.mpf]]) -> bool:
    """Whether value^2 I - A^T A has a negative direction: elimination without roots, in 40 digits."""
    top = mpmath.mpf(value) ** 2
    tiny = top * mpmath.mpf(10) ** -EQUAL
    rest = [[(top if a == b else 0) - entry for b, entry in enumerate(row)] for a, row in enumerate(square)]
    for k, row in enumerate(rest):
        if row[k] < -tiny:
            return True
        if row[k] <= tiny:
            if any(abs(entry) > mpmath.sqrt(tiny * top) for entry in row[k + 1 :]):
                return True
            continue
        for other in rest[k + 1 :]:
            factor = other[k] / row[k]
            for column in range(k + 1, len(row)):
                other[column] -= factor * row[column]
    return False


def cases() -> Iterator[tuple[Layer, str, Tensor]]:
    for seed, layer in enumerate(LAYERS):
        for name, weight in kernels(layer.shape, seed):
            yield layer, name, weight


def test_the_oracle_is_the_operator_of_torch() -> None:
    for seed, layer in enumerate(LAYERS):
        weight = next(kernels(layer.shape, seed))[1]
        cls: Any = getattr(nn, f"Conv{'Transpose' * layer.transposed}{len(layer.kernel)}d")
        module = cls(layer.inputs, layer.outputs, layer.kernel, bias=False, padding_mode=layer.mode, **layer.options)
        module.weight = nn.Parameter(weight)
        x = torch.zeros(1, layer.inputs, *layer.image, dtype=torch.float64)
        jacobian = torch.func.jacrev(lambda z, module=module: module(z).flatten())(x).flatten(1).detach()
        jacobian = jacobian[jacobian.any(1)][:, jacobian.any(0)]
        written = torch.tensor(operator(layer, weight).tolist(), dtype=torch.float64)
        torch.testing.assert_close(written, jacobian, rtol=1e-15, atol=0.0)
        norm = float(torch.linalg.matrix_norm(jacobian, 2))
        square = gram(operator(layer, weight))
        assert is_below(norm * (1 - 1e-12), square)
        assert not is_below(norm * (1 + 1e-12), square)


def test_no_bound_is_below_the_norm_in_forty_digits() -> None:
    count = 0
    for layer, name, weight in cases():
        square = gram(operator(layer, weight))
        options: dict[str, Any] = layer.options | (
            {"transposed": True} if layer.transposed else {"padding_mode": layer.mode}
        )
        any_size = conv_norm_bound(weight, **options)
        bounds = [any_size]
        if layer.mode != "zeros":  # else the size plays no role
            bounds.append(conv_norm_bound(weight, image_size=layer.image, **options))
        for bound in bounds:
            count += 1
            assert bound == math.inf or not is_below(bound, square), (layer, name, weight, bound)
        assert (any_size == 0.0) == (name == "zero")
        assert any_size < math.inf or name == "at the upper end"
    print(f"{count} bounds of convolutions, none below the norm")
    assert count > 400


def at_its_own_frequencies(layer: Layer) -> bool:
    """Circular, and every output once."""
    whole = all(n % layer.stride == 0 for n in layer.image)
    return (
        layer.mode == "circular" and whole and all(2 * layer.padding <= layer.dilation * (k - 1) for k in layer.kernel)
    )


def test_bounds_are_near_where_the_norm_of_the_image_is_what_is_bounded() -> None:
    """Zero padding is bounded by what larger images reach."""
    tried = 0
    for layer, name, weight in cases():
        if at_its_own_frequencies(layer) and name not in ("zero", "subnormal", "smallest"):  # rounded to few digits
            bound = conv_norm_bound(weight, padding_mode="circular", image_size=layer.image, **layer.options)
            assert is_below(bound * (1 - 1e-6), gram(operator(layer, weight))), (layer, name, bound)
            tried += 1
    assert tried > 50


def test_the_norm_that_lapack_computes_is_no_bound() -> None:
    """Of the explicit matrix in float64: below the norm for about every other kernel."""
    below = count = 0
    for layer, name, weight in cases():
        if name in ("random", "positive", "huge", "tiny", "float32", "nearly orthogonal"):
            matrix = operator(layer, weight)
            computed = float(torch.linalg.svdvals(torch.tensor(matrix.tolist(), dtype=torch.float64))[0])
            below += is_below(computed, gram(matrix))
            count += 1
    print(f"svdvals is below the norm for {below} of {count} convolutions")
    assert below > count // 5
