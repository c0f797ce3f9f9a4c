"""Lengths of samples and the vectors that attain them: what the search needs to know of l2 and linf."""

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from taut.certify.breakdown import Norm


def lengths(values: Float[Tensor, "batch *shape"], norm: Norm) -> Float[Tensor, " batch"]:
    """Computed norm of each sample; the largest entry is factored out, so that squares do not overflow."""
    flat = values.reshape(len(values), -1)
    if flat.shape[1] == 0:
        return flat.new_zeros(len(flat))
    largest = flat.abs().amax(dim=1)
    if norm == "linf":
        return largest
    scale = torch.where(largest > 0.0, largest, 1.0)
    return scale * torch.linalg.vector_norm(flat / scale.unsqueeze(1), dim=1)


def ascent(gradient: Float[Tensor, "batch *shape"], norm: Norm) -> Float[Tensor, "batch *shape"]:
    """The direction of length 1 that has the largest product with the gradient; zero where that is zero."""
    if norm == "linf":
        return gradient.sign()
    size = per_sample(lengths(gradient, norm), gradient)
    return torch.where(size > 0.0, gradient / size, 0.0)


def functional(difference: Float[Tensor, "batch out"], norm: Norm) -> Float[Tensor, "batch out"]:
    """The linear functional of dual length 1 whose value at the difference is its length."""
    if norm == "l2":
        return ascent(difference, norm)
    if difference.shape[1] == 0:
        return difference
    entry = difference.abs().argmax(dim=1, keepdim=True)
    return torch.zeros_like(difference).scatter(1, entry, difference.gather(1, entry).sign())


def per_sample(values: Shaped[Tensor, " batch"], like: Float[Tensor, "batch *shape"]) -> Tensor:
    """One number (or truth) a sample, with axes to be multiplied with `like`."""
    return values.reshape(-1, *[1] * (like.ndim - 1))


def drawn(like: Float[Tensor, "batch *shape"], norm: Norm, generator: torch.Generator) -> Float[Tensor, "batch *shape"]:
    """Random directions of length 1: uniform on the sphere (l2), corners of the cube (linf). The same on any device."""
    noise = torch.randn(like.shape, generator=generator, dtype=torch.float64, device="cpu").to(like.device)
    return ascent(noise, norm)
