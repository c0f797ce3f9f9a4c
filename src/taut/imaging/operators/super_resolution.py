r"""Super-resolution: a picture is blurred and each s-th pixel kept."""

from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from taut.certify.rounding import mul_up, sqrt_up
from taut.imaging.operators.blur import Blur, strided_sizes
from taut.imaging.operators.conjugate_gradients import Solution
from taut.imaging.operators.norms import positive_norm_bound
from taut.imaging.operators.operator import LinearOperator, Shape, closed_form

_SMALL = 96 * 96
"""Pixels up to which the bound for sides that the factor does not divide is refined by many power iterations."""


class SuperResolution(LinearOperator):
    r"""A x = S (k * x): a circular blur, of which S keeps every factor-th pixel of each side, the first included.

    Where the factor divides both sides, A A^T is a circular convolution again: its symbol, the mean of |k|^2 over the
    aliases, proves the norm to 1e-9 and gives the inverse of I + step A^T A in closed form. Where it does not, the
    norm is proven to a few per cent for kernels without negative taps (else that of the blur, up to `factor` too
    large), and the inverse comes from conjugate gradients.

    Args:
        shape: (channels, height, width) of the images, any sizes; measurements have ceil(side / factor).
        kernel: The taps of the blur.
        factor: Of the subsampling, at least 1.

    Raises ValueError for a factor below 1 or above both sides, and what `Blur` refuses.

    Source: Zhao, Wei, Basarab, Dobigeon, Kouamé and Tourneret (2016) for the closed form.

    >>> from taut.imaging.operators import uniform_kernel
    >>> SuperResolution((3, 7, 9), uniform_kernel(2), factor=2).output_shape
    (3, 4, 5)
    """

    def __init__(self, shape: Shape, kernel: Float[Tensor, "rows columns"], *, factor: int) -> None:
        if factor < 1 or factor > max(shape[1:]):
            raise ValueError(f"factor must be from 1 to the longer side of the image, {max(shape[1:])}, got {factor}")
        super().__init__(shape, (shape[0], -(-shape[1] // factor), -(-shape[2] // factor)))
        self.blur, self.factor = Blur(shape, kernel), factor

    @property
    def divides(self) -> bool:
        """Whether the factor divides both sides of the image."""
        return self.input_shape[1] % self.factor == 0 and self.input_shape[2] % self.factor == 0

    @property
    def description(self) -> str:
        rows, columns = self.blur.kernel.shape
        return f"super-resolution by {self.factor}, blur {rows}x{columns}"

    def _norm(self) -> float:
        if self.divides:
            squares = strided_sizes(self.blur._sizes, self.blur._error, self.factor)
            return min(self.blur.norm_bound, sqrt_up(mul_up(float(squares.amax()), 1.0 + 2.0**-40)))
        reach = max(self.blur.kernel.shape)
        if reach > min(self.input_shape[1:]) or bool((self.blur.kernel < 0).any()):
            return self.blur.norm_bound
        pixels = self.input_shape[1] * self.input_shape[2]
        start = torch.ones(1, 1, *self.input_shape[1:], dtype=torch.float64)
        terms = 2 * self.blur.kernel.numel()
        proven = positive_norm_bound(self._plain_normal, start, terms=terms, iterations=40 if pixels <= _SMALL else 4)
        return min(self.blur.norm_bound, proven)

    def _smallest(self) -> float:
        return self.blur.smallest_bound if self.factor == 1 else 0.0

    def _apply(self, x: Tensor) -> Tensor:
        return self.blur._apply(x)[..., :: self.factor, :: self.factor]

    def _transposed(self, y: Tensor) -> Tensor:
        spread = y.new_zeros(y.shape[0], *self.input_shape)
        spread[..., :: self.factor, :: self.factor] = y
        return self.blur._transposed(spread)

    def _solve(self, v: Tensor, step: float) -> Solution:
        """Woodbury: (I + step A^T A)^-1 = I - step A^T (I + step A A^T)^-1 A."""
        if not self.divides:
            return super()._solve(v, step)
        squares = self._like(self._alias_mean, v)
        small = torch.fft.fft2(self._apply(v)) / (1.0 + step * squares)
        return closed_form(v - step * self._transposed(torch.fft.ifft2(small).real))

    @cached_property
    def _alias_mean(self) -> Tensor:
        return strided_sizes(self.blur._sizes, 0.0, self.factor)

    def _plain_normal(self, q: Tensor) -> Tensor:
        """A^T A q as sums of products, of which none is negative: no transform rounds anything below zero."""
        taps = self.blur._flipped
        rows, columns = taps.shape[2:]
        top, left = rows - 1 - rows // 2, columns - 1 - columns // 2
        low = F.conv2d(F.pad(q, (left, columns // 2, top, rows // 2), mode="circular"), taps)
        kept = torch.zeros_like(low)
        kept[..., :: self.factor, :: self.factor] = low[..., :: self.factor, :: self.factor]
        around = F.pad(kept, (columns // 2, left, rows // 2, top), mode="circular")
        return F.conv2d(around, taps.flip(2, 3))
