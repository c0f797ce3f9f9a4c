r"""Inpainting: some pixels are measured, the others are lost."""

import torch
from jaxtyping import Shaped
from torch import Tensor

from taut.imaging.operators.conjugate_gradients import Solution
from taut.imaging.operators.operator import LinearOperator, Shape, closed_form


class Inpainting(LinearOperator):
    r"""A x = mask x, entry by entry, the mask of zeros and ones: a projection, so the norm is 1 exactly.

    Args:
        shape: (channels, height, width) of the images.
        mask: Ones where a pixel is measured: (height, width), one for all channels, or of the shape of the images.

    Raises ValueError for a mask of another shape, with other numbers than 0 and 1, or with none measured.

    >>> hole = Inpainting((1, 2, 2), torch.tensor([[1.0, 0.0], [1.0, 1.0]]))
    >>> hole(torch.ones(1, 2, 2))
    tensor([[[1., 0.],
             [1., 1.]]])
    """

    def __init__(self, shape: Shape, mask: Shaped[Tensor, "*shape"]) -> None:
        super().__init__(shape, shape)
        if tuple(mask.shape) not in (tuple(shape), tuple(shape[1:])):
            raise ValueError(f"the mask must have the shape {shape} or {shape[1:]}, got {tuple(mask.shape)}")
        kept = mask.detach().cpu().double()
        if not bool(((kept == 0.0) | (kept == 1.0)).all()):
            raise ValueError("the mask must be of zeros and ones")
        if not bool(kept.any()):
            raise ValueError("the mask must keep a pixel at least, got zeros alone")
        self.mask = kept.expand(shape).contiguous()

    @property
    def description(self) -> str:
        return f"inpainting with {float(self.mask.mean()):.0%} of the pixels"

    def _norm(self) -> float:
        return 1.0

    def _smallest(self) -> float:
        return 1.0 if bool(self.mask.all()) else 0.0

    def _apply(self, x: Tensor) -> Tensor:
        return x * self._like(self.mask, x)

    def _transposed(self, y: Tensor) -> Tensor:
        return y * self._like(self.mask, y)

    def _solve(self, v: Tensor, step: float) -> Solution:
        return closed_form(v / (1.0 + step * self._like(self.mask, v)))


def random_pixels(height: int, width: int, *, share: float, seed: int = 0) -> Tensor:
    """A mask of ones at round(share height width) pixels, at least one, drawn without replacement from the seed.

    Raises ValueError unless share is in (0, 1].

    >>> random_pixels(10, 10, share=0.3).sum()
    tensor(30.)
    """
    if not 0.0 < share <= 1.0:
        raise ValueError(f"share must be in (0, 1], got {share}")
    count = max(1, round(share * height * width))
    order = torch.randperm(height * width, generator=torch.Generator().manual_seed(seed))
    mask = torch.zeros(height * width)
    mask[order[:count]] = 1.0
    return mask.reshape(height, width)
