r"""Penalty that pulls the layers of any network towards orthogonal operators, dense and convolutional."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from taut.functional.polyphase import phases, to_unit_stride


def matrix_orthogonality(weight: Float[Tensor, "out in"]) -> Float[Tensor, ""]:
    r"""||W W^T - I||_F^2, or ||W^T W - I||_F^2 where there are more rows than columns: 0 for orthogonal W alone.

    >>> matrix_orthogonality(torch.tensor([[2.0, 0.0]]))
    tensor(9.)
    """
    rows = weight if weight.shape[0] <= weight.shape[1] else weight.mT
    return (rows @ rows.mT - torch.eye(len(rows), dtype=rows.dtype, device=rows.device)).square().sum()


def kernel_orthogonality(
    kernel: Float[Tensor, "out in *size"],
    *,
    stride: tuple[int, ...] | None = None,
    dilation: tuple[int, ...] | None = None,
    groups: int = 1,
) -> Float[Tensor, ""]:
    r"""||C C^T - I||_F^2 for each pixel of the output, C the convolution with circular padding, as an operator.

    C^T C in its place where C has more rows than columns. Computed from the kernel alone, as its correlation with
    itself, which is C C^T on every picture of at least 2 k - 1 pixels a side. 0 means that C is orthogonal: a kernel
    whose matrix (out, in * taps) has orthonormal rows is not enough. With zero padding the outputs at the border see
    less, and C is bounded by 1 instead. A stride and a
    dilation that share a factor act as their quotients by it, on the pixels that are seen at all.

    Args: kernel, one, two or three spatial axes; stride, dilation and groups of the convolution.
    Errors: ValueError where these do not fit the kernel.
    Source: Wang, Chen, Chakraborty and Yu (2020), for rows and stride; here for columns, groups and dilation too.

    >>> identity = torch.zeros(1, 1, 3)
    >>> identity[0, 0, 1] = 1
    >>> kernel_orthogonality(identity), kernel_orthogonality(torch.ones(1, 1, 2))  # (2 - 1)^2 + 1^2 + 1^2
    (tensor(0.), tensor(3.))
    """
    dims = kernel.dim() - 2
    stride, dilation = stride or (1,) * dims, dilation or (1,) * dims
    if dims not in (1, 2, 3) or len(stride) != dims or len(dilation) != dims or groups < 1 or len(kernel) % groups:
        raise ValueError(
            "the kernel must have one to three spatial axes, as many as stride and dilation, and groups must divide "
            f"its outputs, got {tuple(kernel.shape)}, stride {stride}, dilation {dilation}, groups {groups}"
        )
    unit = to_unit_stride(kernel, strides=phases(stride, dilation), groups=groups)
    if unit.shape[1] > unit.shape[2]:
        unit = unit.transpose(1, 2)  # the adjoint has the flipped kernel, whose correlations are the same, mirrored
    return torch.stack([_rows(part, dims) for part in unit]).sum()


def orthogonality_penalty(model: nn.Module) -> Float[Tensor, ""]:
    r"""Sum of ||W W^T - I||_F^2 over the linear layers of `model`, and of `kernel_orthogonality` over its convolutions.

    Parametrized layers take part with the weight that they use. It proves no constant; the layers of `taut.nn` are
    orthogonal without it. 0 for a network without such layers.

    >>> orthogonality_penalty(nn.Sequential(nn.Linear(4, 4), nn.ReLU())).item() > 0
    True
    """
    terms = [term for module in model.modules() if (term := _layer(module)) is not None]
    return torch.stack(terms).sum() if terms else torch.zeros(())


def _layer(module: nn.Module) -> Tensor | None:
    if isinstance(module, nn.Linear):
        return matrix_orthogonality(module.weight)
    if not isinstance(module, _ConvNd):
        return None
    # the weight of a transposed convolution, (in, out / groups), is that of its adjoint as it stands
    return kernel_orthogonality(module.weight, stride=module.stride, dilation=module.dilation, groups=module.groups)


def _rows(kernel: Tensor, dims: int) -> Tensor:
    """||C C^T - I||_F^2 for each pixel at stride 1: the kernel's correlation with itself, less a one at shift 0."""
    convolve = (F.conv1d, F.conv2d, F.conv3d)[dims - 1]
    padding = [size - 1 for size in kernel.shape[2:]]
    correlation = convolve(kernel, kernel, padding=padding)
    target = torch.zeros_like(correlation)
    target[(..., *padding)] = torch.eye(len(kernel), dtype=kernel.dtype, device=kernel.device)
    return (correlation - target).square().sum()
