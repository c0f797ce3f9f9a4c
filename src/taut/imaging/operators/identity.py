r"""Denoising: the picture itself is measured."""

from torch import Tensor

from taut.imaging.operators.conjugate_gradients import Solution
from taut.imaging.operators.operator import LinearOperator, Shape, closed_form


class Identity(LinearOperator):
    r"""A x = x: every singular value is 1.

    Raises ValueError for a shape that is not (channels, height, width).

    >>> Identity((1, 5, 7)).norm_bound
    1.0
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__(shape, shape)

    @property
    def description(self) -> str:
        return "denoising"

    def _norm(self) -> float:
        return 1.0

    def _smallest(self) -> float:
        return 1.0

    def _apply(self, x: Tensor) -> Tensor:
        return x

    def _transposed(self, y: Tensor) -> Tensor:
        return y

    def _solve(self, v: Tensor, step: float) -> Solution:
        return closed_form(v / (1.0 + step))
