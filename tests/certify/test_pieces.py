"""Pieces of a split tensor: apart only where they have no entry in common, and refusals that say what to do."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from taut.certify import lipschitz_bound

ROUNDING = 1e-6


class Function(nn.Module):
    def __init__(self, how: Callable[[Any], Any]) -> None:
        super().__init__()
        self.how = how

    def forward(self, x: Tensor) -> Tensor:
        return self.how(x)


def gain(model: nn.Module, shape: tuple[int, ...]) -> float:
    """Of a linear map: the largest singular value of its matrix."""
    x = torch.zeros(1, *shape, dtype=torch.float64)
    jacobian: Any = torch.autograd.functional.jacobian(model, x)
    return float(torch.linalg.matrix_norm(jacobian.reshape(-1, x.numel()), ord=2))


def joined(**options: Any) -> Callable[[Any], Any]:
    def how(x: Any) -> Any:
        pieces = x.tensor_split(**options, dim=1)
        return torch.cat((pieces[0], pieces[1]), 1)

    return how


OVERLAPPING: list[Callable[[Any], Any]] = [
    lambda x: torch.cat([x.tensor_split((3, 1), dim=1)[i] for i in (0, 2)], 1),
    lambda x: torch.cat([torch.tensor_split(x, (3, 1), 1)[i] for i in (0, 2)], 1),
    lambda x: (lambda pieces: torch.cat((pieces[0], pieces[2]), 1))(x.tensor_split((3, 1), dim=1)),
    lambda x: (lambda pieces: torch.cat((pieces[0], pieces[2]), 1))(x.tensor_split([-1, -3], dim=1)),
    lambda x: (lambda pieces: torch.cat((pieces[0], pieces[2]), 1))(torch.tensor_split(x, (3, 1), dim=1)),
    lambda x: (lambda pieces: torch.cat((pieces[0], pieces[2]), 1))(x.tensor_split(indices=(4, 0), dim=1)),
]


@pytest.mark.parametrize("how", OVERLAPPING)
def test_overlapping_pieces_are_not_apart(how: Callable[[Any], Any]) -> None:
    assert gain(Function(how), (4,)) == pytest.approx(math.sqrt(2))
    assert lipschitz_bound(Function(how), input_shape=(4,)) >= math.sqrt(2) * (1 - 1e-15)


@pytest.mark.parametrize("options", [{"sections": 2}, {"indices": (1,)}, {"indices": (1, 1)}, {"indices": [0, 3]}])
def test_pieces_without_a_common_entry_are_apart(options: dict[str, Any]) -> None:
    assert lipschitz_bound(Function(joined(**options)), input_shape=(4,)) == 1.0


WHOLE: list[Callable[[Any], Any]] = [
    lambda x: torch.cat(x.split(2, 1), 1),
    lambda x: torch.stack(x.unbind(1)),
    lambda x: torch.cat(torch.chunk(3 * x, 2, 1), 1) / 3,
    lambda x: x.unfold(dimension=1, size=2, step=2),
    lambda x: x.unfold(1, 2, step=2),
]


@pytest.mark.parametrize("how", WHOLE)
@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_all_pieces_at_once_hold_every_entry_once(how: Callable[[Any], Any], norm: str) -> None:
    assert 1.0 <= lipschitz_bound(Function(how), norm=norm, input_shape=(4,)) <= 1.0 + ROUNDING


REFUSED: list[tuple[Callable[[Any], Any], str]] = [
    (lambda x: torch.cat(x.tensor_split((3, 1), dim=1), 1), r"'cat'.*one by one"),
    (lambda x: torch.cat(x.split(2, 1)[:1], 1), r"'cat'.*one by one"),
    (lambda x: F.max_pool2d(x, (x.shape[2], 1)), "'max_pool2d'.*has no Lipschitz rule"),
    (lambda x: F.pad(x, (0, x.shape[2] - 1), mode="reflect"), "'pad'.*has no Lipschitz rule"),
]


@pytest.mark.parametrize("index", range(len(REFUSED)))
def test_refusals_name_the_call(index: int) -> None:
    how, message = REFUSED[index]
    with pytest.raises(TypeError, match=message):
        lipschitz_bound(Function(how))
