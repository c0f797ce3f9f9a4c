r"""Blur: convolution with a kernel, around the torus or with zeros outside."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from taut.certify import conv_norm_bound
from taut.certify.rounding import add_up
from taut.imaging.operators.conjugate_gradients import Solution
from taut.imaging.operators.norms import above, absolute_sum, below, positive_norm_bound, symbol
from taut.imaging.operators.operator import LinearOperator, Shape, closed_form, rounded

_SMALL = 96 * 96
"""Pixels up to which the border's share in the norm is worth proving."""


class Blur(LinearOperator):
    r"""A x = k * x, channel by channel, its norm proven: to 1e-9 where circular, to 1e-3 on large images else.

    Circular blurs go through the fast Fourier transform, for kernels and images of any sizes, and their norm is the
    largest |symbol| on the grid of the image. With zeros outside the norm is that of the convolution of the plane at
    most; for small images and kernels without negative taps it is proven nearer, with the border.

    Args:
        shape: (channels, height, width) of the images.
        kernel: The taps, as they are, not normalised; the centre is tap (rows // 2, columns // 2).
        padding: "circular", for which the inverse of I + step A^T A is in closed form, or "zeros".
        name: Of the description.

    Raises ValueError for a kernel that is no matrix, or zero; for NaN and infinity; for another padding.

    >>> from taut.imaging.operators import uniform_kernel
    >>> blur = Blur((1, 6, 5), uniform_kernel(3))
    >>> 1.0 <= blur.norm_bound < 1.0 + 1e-6
    True
    """

    def __init__(
        self, shape: Shape, kernel: Float[Tensor, "rows columns"], *, padding: str = "circular", name: str = "blur"
    ) -> None:
        super().__init__(shape, shape)
        if kernel.ndim != 2 or not bool((kernel != 0).any()):
            raise ValueError(f"the kernel must be a matrix that is not zero, got the shape {tuple(kernel.shape)}")
        if padding not in ("circular", "zeros"):
            raise ValueError(f"padding must be 'circular' or 'zeros', got {padding!r}")
        self.kernel, self.padding, self.name = rounded(kernel), padding, name
        self._flipped = self.kernel.flip(0, 1)[None, None]
        if self.circular:
            values, self._error = symbol(self.kernel, shape[1:])
            self._sizes = values.abs()
            self._half = values[:, : shape[2] // 2 + 1].contiguous()

    @property
    def circular(self) -> bool:
        """Whether it goes around the torus."""
        return self.padding == "circular"

    @property
    def description(self) -> str:
        rows, columns = self.kernel.shape
        return f"{self.name} {rows}x{columns}, padding {self.padding}"

    def _norm(self) -> float:
        total = absolute_sum(self.kernel)
        if self.circular:
            return min(total, above(self._sizes, self._error))
        plane = min(total, conv_norm_bound(self._odd()[None, None]))
        if bool((self.kernel < 0).any()) or self.input_shape[1] * self.input_shape[2] > _SMALL:
            return plane
        start = torch.ones(1, 1, *self.input_shape[1:], dtype=torch.float64)
        normal = positive_norm_bound(lambda q: self._transposed(self._apply(q)), start, terms=2 * self.kernel.numel())
        return min(plane, normal)

    def _smallest(self) -> float:
        return below(self._sizes, self._error) if self.circular else 0.0

    def _apply(self, x: Tensor) -> Tensor:
        if self.circular:
            return filtered(x, self._like(self._half, x))
        rows, columns = self.kernel.shape
        before = (rows - 1 - rows // 2, columns - 1 - columns // 2)
        padded = F.pad(x.flatten(0, 1)[:, None], (before[1], columns // 2, before[0], rows // 2))
        return F.conv2d(padded, self._like(self._flipped, x)).view_as(x)

    def _transposed(self, y: Tensor) -> Tensor:
        if self.circular:
            return filtered(y, self._like(self._half, y).conj())
        rows, columns = self.kernel.shape
        top, left = rows - 1 - rows // 2, columns - 1 - columns // 2
        full = F.conv_transpose2d(y.flatten(0, 1)[:, None], self._like(self._flipped, y))
        return full[..., top : top + y.shape[2], left : left + y.shape[3]].reshape(y.shape)

    def _solve(self, v: Tensor, step: float) -> Solution:
        if not self.circular:
            return super()._solve(v, step)
        return closed_form(filtered(v, 1.0 / (1.0 + step * self._like(self._half, v).abs().square())))

    def _odd(self) -> Tensor:
        """The kernel with a row and a column of zeros where it has an even number of them."""
        rows, columns = self.kernel.shape
        return F.pad(self.kernel, (0, 1 - columns % 2, 0, 1 - rows % 2))


def filtered(x: Tensor, half_symbol: Tensor) -> Tensor:
    """Multiply half the spectrum of real images, whose sides may be odd."""
    return torch.fft.irfft2(torch.fft.rfft2(x) * half_symbol, s=x.shape[-2:])


def strided_sizes(sizes: Float[Tensor, "h w"], error: float, factor: int) -> Float[Tensor, "h2 w2"]:
    """Upper bounds of the squared symbol of S K K^T S^T, S keeping each `factor`-th pixel of a divisible image."""
    squares = (sizes + add_up(error, 0.0)).square()
    rows, columns = sizes.shape[0] // factor, sizes.shape[1] // factor
    return squares.view(factor, rows, factor, columns).mean(dim=(0, 2))
