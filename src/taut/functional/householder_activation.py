r"""Householder activations: pairs of channels, folded along lines through the origin.

A fold is continuous because a reflection leaves its line as it is; it is 1-Lipschitz (l2), and its Jacobian, the
identity on one side and a reflection on the other, is orthogonal. Order 1 has one line. Order 2 has four rays at the
angles 0, A, A + B and pi + B from a first one; the pieces between them are turned over by every ray that is crossed.
Going once around, four reflections must give the identity: the alternating sum of the four angles is a multiple of pi,
which is why the third and the fourth sector are pi - A and pi - B wide.
"""

import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from taut.functional.reflect import reflect_formula


def householder_fold(
    x: Float[Tensor, "batch channels *rest"], normal: Float[Tensor, "2 pairs"]
) -> Float[Tensor, "batch channels *rest"]:
    r"""z - 2 max(0, <v, z>) v for each pair z: 1-Lipschitz (l2), orthogonal Jacobian, for unit vectors v.

    For any v it is continuous and max(1, |1 - 2 |v|^2|)-Lipschitz (l2). Pairs channel i with i + channels/2; row 0 of
    `normal` belongs to the first half. Source: Singla, Singla and Feizi (2022), order 1.

    >>> import torch
    >>> householder_fold(torch.tensor([[3.0, 4.0], [-3.0, 4.0]]), torch.tensor([[1.0], [0.0]]))
    tensor([[-3.,  4.],
            [-3.,  4.]])
    """
    # as the formula below, along the channels where they are: a graph cannot ask for the number of dimensions
    a, b = x.chunk(2, 1)
    v, w = normal.unflatten(1, (-1, *(1,) * (x.dim() - 2))) if x.dim() > 2 else normal
    side = torch.addcmul(a * v, b, w).relu()
    return torch.cat((torch.addcmul(a, side, v, value=-2), torch.addcmul(b, side, w, value=-2)), 1)


def householder_fold_formula(x: Any, *, normal: Any) -> Any:
    a, b = x.movedim(1, -1).chunk(2, -1)
    v, w = normal[0], normal[1]
    twice = 2 * torch.relu(a * v + b * w)
    return torch.cat((a - twice * v, b - twice * w), -1).movedim(-1, 1)


def householder_order2(
    x: Float[Tensor, "batch channels *rest"], angles: Float[Tensor, "3 pairs"]
) -> Float[Tensor, "batch channels *rest"]:
    r"""Four pieces around the origin, in turn rotated and reflected: 1-Lipschitz (l2), orthogonal Jacobian.

    `angles` are those of the first ray, in the plane of the pair, and the widths A and B of the first two sectors,
    which are reflected into [0, pi]. The first sector stays as it is. Pairs channel i with i + channels/2.

    Source: Singla, Singla and Feizi (2022), order 2: theta_0 = 2 angles[0], theta_1 = 2 A, theta_2 = 2 B.

    >>> import torch
    >>> angles = torch.tensor([[0.0], [torch.pi / 2], [torch.pi / 2]])
    >>> householder_order2(torch.tensor([[3.0, 4.0], [-3.0, 4.0], [-3.0, -4.0]]), angles)
    tensor([[3.0000, 4.0000],
            [3.0000, 4.0000],
            [3.0000, 4.0000]])
    """
    return householder_order2_formula(x, angles=angles)


def householder_order2_formula(x: Any, *, angles: Any) -> Any:
    a, b = x.movedim(1, -1).chunk(2, -1)
    start = angles[0]
    first = math.pi / 2 + reflect_formula(angles[1] - math.pi / 2, limit=math.pi / 2)
    second = math.pi / 2 + reflect_formula(angles[2] - math.pi / 2, limit=math.pi / 2)
    around = torch.remainder(torch.atan2(b.detach(), a.detach()) - start.detach(), 2 * math.pi)
    in_first, in_second = around < first, around < first + second
    in_third = around < math.pi + second
    # reflection by the line at half of `turn`, or rotation by minus `turn`: they differ in the second entry's sign
    turn = torch.where(in_second, 2 * (start + first), torch.where(in_third, 2 * second, 2 * start))
    turn = torch.where(in_first, torch.zeros_like(turn), turn)
    sign = torch.where(in_first | (in_third & ~in_second), -1.0, 1.0)
    cosine, sine = torch.cos(turn), torch.sin(turn)
    return torch.cat((a * cosine + b * sine, sign * (a * sine - b * cosine)), -1).movedim(-1, 1)
