"""Fully connected Lipschitz classifiers."""

import math

from torch import nn

from taut.models._choices import classifier_linear
from taut.models._parts import chain, check_shape, dense_layers, named
from taut.models.critics import critic_activations


def mlp(
    shape: tuple[int, ...],
    classes: int,
    *,
    width: int = 512,
    depth: int = 3,
    linear: str = "bjorck",
    activation: str = "max-min",
    group_size: int = 2,
    head: str = "unit-norm",
    lipschitz: float = 1.0,
    dropout: float = 0.0,
    bjorck_steps: int = 0,
) -> nn.Sequential:
    r"""K head(act(linear(...act(linear(flatten(x)))...))), every logit K-Lipschitz in the norm of the layers chosen.

    With orthogonal layers and the unit-norm head, logit i minus logit j is (K ||w_i - w_j||)-Lipschitz in l2, w
    being the head's rows. With "linear", torch's own layer, nothing is bounded by construction. Dropout stretches in
    training mode, by up to 1 / (1 - dropout) each; evaluation mode is what has these constants.

    Args:
        shape: Shape of one input, such as (1, 28, 28).
        classes: Number of logits.
        width: Output features of each hidden linear layer.
        depth: Number of hidden layers, each a linear layer and an activation.
        linear: Hidden linear layers, a key of `classifier_linears()`: those of `taut.nn.linears()`, and "linear".
        activation: A key of `taut.nn.activations()`, or "relu" to compare with.
        group_size: Of the activations that have one.
        head: Last linear layer, a key of the same.
        lipschitz: K.
        dropout: Share of the hidden features that training sets to 0 after each activation.
        bjorck_steps: Steps of "bjorck" layers, which are then bounded by 1 and not orthogonal; 0 is the limit.

    Raises:
        ValueError: A size, a name or a combination that is not allowed.

    Example:
        >>> import torch
        >>> mlp((1, 8, 8), 10, width=32, depth=1)(torch.zeros(5, 1, 8, 8)).shape
        torch.Size([5, 10])
    """
    check_shape(shape)
    if classes < 2:
        raise ValueError(f"classes must be at least 2, got {classes}")
    last = classifier_linear("head", head, bjorck_steps)
    layers, features = dense_layers(
        math.prod(shape),
        width=width,
        depth=depth,
        linear=classifier_linear("linear", linear, bjorck_steps),
        activation=named("activation", activation, critic_activations()),
        group_size=group_size,
        dropout=dropout,
    )
    return chain(nn.Flatten(), *layers, last(features, classes), lipschitz=lipschitz)
