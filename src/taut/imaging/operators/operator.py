r"""What every linear operator of an imaging problem has: an exact adjoint, a proven norm, an inverse."""

from abc import ABC, abstractmethod
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from taut.imaging.operators.conjugate_gradients import Solution, conjugate_gradients

Shape = tuple[int, int, int]
"""(channels, height, width)."""


class LinearOperator(ABC):
    r"""A linear map A between images with its adjoint and proven l2 bounds of its singular values.

    What it holds are numbers that float32 has exactly, so that the same operator acts on float32 and float64 images,
    on any device; the bounds are those of that operator in real arithmetic.
    """

    def __init__(self, input_shape: Shape, output_shape: Shape) -> None:
        for what, shape in (("images", input_shape), ("measurements", output_shape)):
            if len(shape) != 3 or min(shape) < 1:
                raise ValueError(f"{what} must have the shape (channels, height, width), each at least 1, got {shape}")
        self.input_shape: Shape = input_shape
        self.output_shape: Shape = output_shape
        self._moved: dict[tuple[int, torch.device, torch.dtype], tuple[Tensor, Tensor]] = {}

    @property
    @abstractmethod
    def description(self) -> str:
        """A few words that tell it from others."""

    @cached_property
    def norm_bound(self) -> float:
        """Upper bound of the largest singular value: never too small."""
        return self._norm()

    @cached_property
    def smallest_bound(self) -> float:
        """Lower bound of the smallest singular value on all images: never too large, 0 where none is proven."""
        return self._smallest()

    @abstractmethod
    def _norm(self) -> float: ...

    def _smallest(self) -> float:
        return 0.0

    @abstractmethod
    def _apply(self, x: Tensor) -> Tensor: ...

    @abstractmethod
    def _transposed(self, y: Tensor) -> Tensor: ...

    def forward(self, x: Float[Tensor, "*batch c h w"]) -> Float[Tensor, "*batch c2 h2 w2"]:
        """A x, of one image or a batch."""
        images = self._checked(x, self.input_shape, "an image")
        return self._apply(images).reshape(*x.shape[:-3], *self.output_shape)

    def adjoint(self, y: Float[Tensor, "*batch c h w"]) -> Float[Tensor, "*batch c2 h2 w2"]:
        """A^T y: <A x, y> = <x, A^T y> up to rounding."""
        measured = self._checked(y, self.output_shape, "a measurement")
        return self._transposed(measured).reshape(*y.shape[:-3], *self.input_shape)

    def __call__(self, x: Float[Tensor, "*batch c h w"]) -> Float[Tensor, "*batch c2 h2 w2"]:
        return self.forward(x)

    def solve(self, v: Float[Tensor, "*batch c h w"], *, step: float) -> Solution:
        r"""(I + step A^T A)^-1 v with a bound of the error; conjugate gradients unless there is a closed form.

        The proximal operator of step |A x - y|^2 / 2 at v is solve(v + step A^T y).
        """
        images = self._checked(v, self.input_shape, "an image")
        if not step > 0.0:
            raise ValueError(f"step must be positive, got {step}")
        solution = self._solve(images, step)
        return Solution(image=solution.image.reshape(v.shape), error_bound=solution.error_bound, exact=solution.exact)

    def _solve(self, v: Tensor, step: float) -> Solution:
        return conjugate_gradients(lambda x: self._transposed(self._apply(x)), v, step=step)

    def _checked(self, x: Tensor, shape: Shape, what: str) -> Tensor:
        if x.dtype not in (torch.float32, torch.float64):
            raise TypeError(f"{self.description} takes float32 or float64, got {x.dtype}")
        if x.ndim not in (3, 4) or tuple(x.shape[-3:]) != shape:
            raise ValueError(f"{self.description} takes {what} of shape {shape}, got {tuple(x.shape)}")
        return x if x.ndim == 4 else x[None]

    def _like(self, held: Tensor, x: Tensor) -> Tensor:
        """What the operator holds, on the device and in the precision of x; made once for each."""
        key = (id(held), x.device, x.dtype)
        if key not in self._moved:
            kind = x.dtype.to_complex() if held.is_complex() else x.dtype
            self._moved[key] = (held, held.to(x.device, kind))
        return self._moved[key][1]


def closed_form(image: Tensor) -> Solution:
    """An exact solution: its error is that of rounding alone."""
    return Solution(image=image, error_bound=0.0, exact=True)


def rounded(values: Tensor) -> Tensor:
    """The nearest float32 numbers, held in float64. ValueError for NaN or infinity."""
    if not bool(torch.isfinite(values).all()):
        raise ValueError("an operator needs finite numbers, got NaN or infinity")
    return values.detach().cpu().float().double()
