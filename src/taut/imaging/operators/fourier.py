r"""Magnetic resonance: some frequencies of the picture are measured."""

import math

import torch
from jaxtyping import Shaped
from torch import Tensor

from taut.certify.rounding import sqrt_down, sqrt_up
from taut.imaging.operators.conjugate_gradients import Solution
from taut.imaging.operators.operator import LinearOperator, Shape, closed_form


class FourierMask(LinearOperator):
    r"""A x = (Re, Im) of mask F x, F the unitary discrete Fourier transform: norm 1, or sqrt(1/2), exactly.

    The measurement of a real picture stays real: its first channels are the real parts, the others the imaginary ones.
    A^T A multiplies frequency k by (mask(k) + mask(-k)) / 2, so that the norm is 1 as soon as a frequency is measured
    with its mirror (the mean always is its own).

    Args:
        shape: (channels, height, width) of the images, any sizes.
        mask: (height, width) of zeros and ones in the order of torch.fft, the mean at [0, 0].

    Raises ValueError for a mask of another shape, with other numbers than 0 and 1, or with none measured.

    >>> scan = FourierMask((1, 4, 5), cartesian_mask(4, 5, acceleration=2.0))
    >>> scan.output_shape, scan.norm_bound
    ((2, 4, 5), 1.0)
    """

    def __init__(self, shape: Shape, mask: Shaped[Tensor, "h w"]) -> None:
        super().__init__(shape, (2 * shape[0], shape[1], shape[2]))
        if tuple(mask.shape) != tuple(shape[1:]):
            raise ValueError(f"the mask must have the shape {shape[1:]}, got {tuple(mask.shape)}")
        kept = mask.detach().cpu().double()
        if not bool(((kept == 0.0) | (kept == 1.0)).all()) or not bool(kept.any()):
            raise ValueError("the mask must be of zeros and ones, with a one at least")
        self.mask = kept
        mirrored = kept.roll((-1, -1), (0, 1)).flip(0, 1)
        self._weights = (kept + mirrored) / 2.0

    @property
    def description(self) -> str:
        return f"MRI with {float(self.mask.mean()):.0%} of the frequencies"

    def _norm(self) -> float:
        return sqrt_up(float(self._weights.amax()))

    def _smallest(self) -> float:
        return sqrt_down(float(self._weights.amin()))

    def _apply(self, x: Tensor) -> Tensor:
        spectrum = torch.fft.fft2(x, norm="ortho")
        return torch.cat((spectrum.real, spectrum.imag), 1) * self._like(self.mask, x)

    def _transposed(self, y: Tensor) -> Tensor:
        real, imaginary = (y * self._like(self.mask, y)).chunk(2, 1)
        return torch.fft.ifft2(torch.complex(real, imaginary), norm="ortho").real

    def _solve(self, v: Tensor, step: float) -> Solution:
        factors = 1.0 / (1.0 + step * self._like(self._weights, v))
        return closed_form(torch.fft.ifft2(torch.fft.fft2(v) * factors).real)


def cartesian_mask(height: int, width: int, *, acceleration: float, centre: float = 0.08, seed: int = 0) -> Tensor:
    """Whole columns: the `centre` share of the lowest frequencies, and random others up to width / acceleration.

    >>> cartesian_mask(2, 8, acceleration=4.0, centre=0.25)[0]
    tensor([1., 1., 0., 0., 0., 0., 0., 0.])
    """
    if not 1.0 <= acceleration < math.inf or not 0.0 <= centre <= 1.0:
        raise ValueError(f"acceleration must be >= 1 and centre in [0, 1], got {acceleration} and {centre}")
    low = max(1, round(centre * width))
    count = max(low, round(width / acceleration))
    order = torch.fft.fftfreq(width).abs().argsort(stable=True)
    others = order[low:][torch.randperm(width - low, generator=torch.Generator().manual_seed(seed))]
    mask = torch.zeros(width)
    mask[torch.cat((order[:low], others[: count - low]))] = 1.0
    return mask.expand(height, width).contiguous()


def radial_mask(height: int, width: int, *, lines: int) -> Tensor:
    """The frequencies nearest to `lines` straight lines through the mean, at equal angles from the horizontal.

    >>> radial_mask(3, 3, lines=2)
    tensor([[1., 1., 1.],
            [1., 0., 0.],
            [1., 0., 0.]])
    """
    if lines < 1:
        raise ValueError(f"lines must be at least 1, got {lines}")
    mask = torch.zeros(height, width)
    reach = (max(height, width) + 1) // 2
    along = torch.arange(-2 * reach, 2 * reach + 1, dtype=torch.float64) / 2.0
    for line in range(lines):
        angle = math.pi * line / lines
        rows = torch.round(along * math.sin(angle)).long()
        columns = torch.round(along * math.cos(angle)).long()
        inside = (2 * rows.abs() <= height - 1) & (2 * columns.abs() <= width - 1)
        mask[rows[inside] % height, columns[inside] % width] = 1.0
    return mask


def random_mask(height: int, width: int, *, share: float, centre: float = 0.2, seed: int = 0) -> Tensor:
    """Each frequency with probability `share`, those within `centre` of the highest (in both directions) always.

    >>> random_mask(4, 4, share=0.5)[0, 0]
    tensor(1.)
    """
    if not 0.0 < share <= 1.0 or not 0.0 <= centre <= 1.0:
        raise ValueError(f"share must be in (0, 1] and centre in [0, 1], got {share} and {centre}")
    rows, columns = (2.0 * torch.fft.fftfreq(side).abs() for side in (height, width))
    low = (rows[:, None] <= centre) & (columns <= centre)
    drawn = torch.rand(height, width, generator=torch.Generator().manual_seed(seed)) < share
    return (low | drawn).float()
