r"""The Kantorovich-Rubinstein dual: what a critic says of the distance between two distributions."""

import torch
from jaxtyping import Float
from torch import Tensor, nn


def dual_value(critic: nn.Module, x: Float[Tensor, "n *shape"], y: Float[Tensor, "m *shape"]) -> Float[Tensor, ""]:
    r"""mean f(x) - mean f(y): at most K W1(x, y) for a K-Lipschitz f (l2), with equality for the best f.

    One forward pass of x and y together, so that the constraint of each layer is computed once.

    Shapes: `critic` maps (batch, *shape) to (batch,) or (batch, 1).
    Errors: ValueError for no samples, or when the critic returns another shape than one value for each.
    Source: Villani (2009), theorem 5.10.

    >>> import torch
    >>> critic = torch.nn.Flatten(start_dim=0)
    >>> dual_value(critic, torch.tensor([[2.0], [4.0]]), torch.tensor([[1.0]]))
    tensor(2.)
    """
    values = critic_values(critic, torch.cat([x, y]))
    return values[: len(x)].mean() - values[len(x) :].mean()


def dual_objective(critic: nn.Module, x: Float[Tensor, "n *shape"], y: Float[Tensor, "m *shape"]) -> Float[Tensor, ""]:
    r"""mean f(y) - mean f(x): what a critic minimises in training, the negative of `dual_value`.

    >>> import torch
    >>> dual_objective(torch.nn.Flatten(start_dim=0), torch.tensor([[2.0]]), torch.tensor([[1.0]]))
    tensor(-1.)
    """
    return -dual_value(critic, x, y)


def critic_values(critic: nn.Module, x: Float[Tensor, "n *shape"]) -> Float[Tensor, " n"]:
    """f at each sample. ValueError unless the critic returns one value for each of one sample or more."""
    if not len(x):
        raise ValueError("there are no samples")
    values = critic(x)
    if tuple(values.shape) not in ((len(x),), (len(x), 1)):
        raise ValueError(
            f"the critic must return one value for each of {len(x)} samples, got the shape {tuple(values.shape)}"
        )
    return values.reshape(len(x))
