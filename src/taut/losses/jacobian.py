r"""Penalty of the spectral norm of a network's Jacobian, sample by sample, for any number of outputs."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from taut.losses._samples import input_gradient_of, refuse_batch_norm


def jacobian_norm_estimate(
    model: Callable[[Tensor], Tensor], inputs: Float[Tensor, "n *shape"], *, steps: int = 5
) -> Float[Tensor, " n"]:
    r"""||J(x)||_2 of each sample from below, by power iteration on J J^T through autograd: never above, up to rounding.

    One pass forwards; then each step is one product with J^T and one with J, for all samples at once. The start is
    fixed, so the same network gives the same value. How far it is below depends on the gap between the two largest
    singular values. Differentiable for the parameters, the singular vectors held fixed, which is the derivative of
    the norm where the iteration has converged. A value of one output is exact.

    Shapes: the model maps (n, *shape) to (n, *out). Errors: ValueError unless steps >= 1, for no samples, for layers in
    training mode that take statistics of the batch, and where the outputs have no gradient.

    >>> weight = torch.tensor([[3.0, 0.0], [0.0, 4.0]])
    >>> jacobian_norm_estimate(lambda x: x @ weight, torch.zeros(1, 2), steps=20).detach()
    tensor([4.])
    """
    if steps < 1:
        raise ValueError(f"steps must be at least 1, got {steps}")
    if not len(inputs):
        raise ValueError("the Jacobian's norm needs at least one sample, got none")
    refuse_batch_norm(model)
    with torch.enable_grad():
        points = inputs.detach().requires_grad_()
        outputs = model(points)
        input_gradient_of(outputs.sum(), points, create_graph=False, keep=True)
        left = _unit(_start(outputs))
        for _ in range(steps):
            right = _unit(_transposed(outputs, points, left))
            left = _unit(_forward(outputs, points, right))
        product = _transposed(outputs, points, left, create_graph=True)
        # the last product with J^T is as good a vector as the next one: <u, J v> is then ||J^T u||, at least as large
        return (product * _unit(product.detach())).reshape(len(product), -1).sum(1)


def jacobian_penalty(
    model: Callable[[Tensor], Tensor], inputs: Float[Tensor, "n *shape"], *, steps: int = 5
) -> Float[Tensor, ""]:
    r"""Mean over the samples of an estimate of ||J(x)||_2, see `jacobian_norm_estimate`: it proves no constant.

    >>> jacobian_penalty(lambda x: 3 * x, torch.zeros(4, 2)).detach()
    tensor(3.0000)
    """
    return jacobian_norm_estimate(model, inputs, steps=steps).mean()


def _start(outputs: Tensor) -> Tensor:
    """The same direction for every sample, on every device."""
    drawn = torch.randn(outputs[0].shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return drawn.to(outputs).expand_as(outputs)


def _unit(vectors: Tensor) -> Tensor:
    """Each sample's vector at length 1; 0 stays 0."""
    flat = vectors.reshape(len(vectors), -1)
    tiny = torch.finfo(flat.dtype).tiny
    scaled = flat / flat.abs().amax(dim=1, keepdim=True).clamp_min(tiny)
    return (scaled / scaled.norm(dim=1, keepdim=True).clamp_min(tiny)).view_as(vectors)


def _transposed(outputs: Tensor, points: Tensor, vectors: Tensor, *, create_graph: bool = False) -> Tensor:
    """J^T u of each sample."""
    (product,) = torch.autograd.grad(outputs, points, vectors, retain_graph=True, create_graph=create_graph)
    return product


def _forward(outputs: Tensor, points: Tensor, vectors: Tensor) -> Tensor:
    """J v of each sample: the derivative of <J^T u, v> for u, which is linear in u."""
    dual = torch.zeros_like(outputs, requires_grad=True)
    product = _transposed(outputs, points, dual, create_graph=True)
    (result,) = torch.autograd.grad(product, dual, vectors)
    return result
