"""Under torch.vmap a batch of matrices is one call of an operator, with the values and gradients of a loop."""

import copy

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

import taut
from taut.functional import polar_factor
from taut.functional.polar import PolarMethod


class _Count(TorchDispatchMode):
    """Calls of operators, by name."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: dict[str, int] = {}

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.calls[func.name()] = self.calls.get(func.name(), 0) + 1
        return func(*args, **(kwargs or {}))


def _gradient(weights: Tensor, grad: Tensor, method: PolarMethod, *, batched: bool) -> tuple[Tensor, Tensor]:
    """Factors and gradients, by one call under vmap or matrix by matrix."""
    weights = weights.clone().requires_grad_()
    if batched:
        factor = torch.vmap(lambda w: polar_factor(w, method=method))(weights)
    else:
        factor = torch.stack([polar_factor(w, method=method) for w in weights])
    return factor.detach(), torch.autograd.grad(factor, weights, grad)[0]


@pytest.mark.parametrize("method", ["eigh", "newton_schulz"])
@pytest.mark.parametrize("shape", [(10, 10), (10, 1), (3, 10)])
def test_a_batch_has_the_factors_and_gradients_of_a_loop(method: PolarMethod, shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    weights = torch.randn(7, *shape, dtype=torch.float64)
    weights[2] *= 1e-9
    weights[4] *= 1e9
    grad = torch.randn_like(weights)
    for one, loop in zip(
        _gradient(weights, grad, method, batched=True), _gradient(weights, grad, method, batched=False), strict=True
    ):
        scale = loop.flatten(1).norm(dim=1)
        assert bool(((one - loop).flatten(1).norm(dim=1) <= 1e-9 * scale).all())


@pytest.mark.parametrize("method", ["eigh", "newton_schulz"])
def test_many_gradients_of_one_matrix(method: PolarMethod) -> None:
    """vmap over the backward pass: there the operator of the derivative is batched in one of its inputs alone."""
    torch.manual_seed(0)
    weight = torch.randn(4, 4, dtype=torch.float64, requires_grad=True)
    factor, grads = polar_factor(weight, method=method), torch.randn(5, 4, 4, dtype=torch.float64)

    def pulled(grad: Tensor) -> Tensor:
        return torch.autograd.grad(factor, weight, grad, retain_graph=True)[0]

    loop = torch.stack([pulled(grad) for grad in grads])
    assert torch.allclose(torch.vmap(pulled)(grads), loop, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("method", ["eigh", "newton_schulz"])
def test_a_broken_matrix_does_not_touch_the_others(method: PolarMethod) -> None:
    torch.manual_seed(0)
    weights = torch.randn(4, 3, 3)
    weights[1, 0, 0], weights[2, 1, 1] = float("nan"), float("inf")
    factor = torch.vmap(lambda w: polar_factor(w, method=method))(weights)
    assert bool(factor[1:3].isnan().all())
    for k in (0, 3):
        assert torch.allclose(factor[k], polar_factor(weights[k], method=method), atol=1e-6)


@pytest.mark.parametrize("linear", ["bjorck", "spectral-norm"])
def test_networks_stacked_under_vmap_cost_the_operations_of_one(linear: str) -> None:
    """Counted, not timed: 25 stacked networks make as many calls of operators as 2 do."""

    def operations(models: int) -> dict[str, int]:
        made = [taut.models.mlp((1,), 2, width=10, depth=3, linear=linear, head=linear) for _ in range(models)]
        parameters, _ = torch.func.stack_module_state(made)
        base, x = copy.deepcopy(made[0]), torch.zeros(8, 1)
        with _Count() as count:
            values = torch.vmap(lambda p: torch.func.functional_call(base, p, (x,)))(parameters)
            values.square().sum().backward()
        return count.calls

    found = operations(25)
    assert found == operations(2)
    if linear == "bjorck":
        assert found["taut::polar_eigh"] == found["taut::polar_eigh_backward"] == 4
