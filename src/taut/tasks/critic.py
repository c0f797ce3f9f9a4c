"""The critic of Wasserstein runs, of GANs and of the table: what can be chosen, and how it is built."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from torch import nn

from taut import models
from taut.errors import UsageError

if TYPE_CHECKING:
    ActivationName = str
    ConvolutionName = str
    LinearName = str
else:
    # The choices are what the models take, so that a new layer is offered without a line here.
    ActivationName = Literal[tuple(models.critic_activations())]
    ConvolutionName = Literal[tuple(models.critic_convolutions())]
    LinearName = Literal[tuple(models.critic_linears())]


@dataclass(frozen=True, kw_only=True)
class CriticConfig:
    """A function with a proven Lipschitz constant (l2) and one output."""

    critic: Literal["dense", "conv"] = "dense"
    """Fully connected on flattened samples, or convolutions (pictures alone) before dense layers."""
    width: int = 512
    """Features of each hidden dense layer."""
    depth: int = 3
    """Number of hidden dense layers."""
    channels: int = 32
    """Channels of the first convolution; each halving of the picture doubles them."""
    levels: int = 2
    """Halvings of the picture, each with a convolution."""
    linear: LinearName = "bjorck"
    """Dense layers."""
    convolution: ConvolutionName = "aoc"
    """Convolutions."""
    activation: ActivationName = "max-min"
    """Activation after each hidden layer; relu is there to compare with."""
    group_size: int = 2
    """Size of the groups of activations that have groups."""
    lipschitz: float = 1.0
    """Lipschitz constant."""


def build_critic(config: CriticConfig, shape: tuple[int, ...]) -> nn.Module:
    """The critic that `config` describes. Raises UsageError for sizes that no such network has."""
    try:
        if config.critic == "conv":
            return models.conv_critic(
                shape,
                width=config.channels,
                levels=config.levels,
                convolution=config.convolution,
                dense_width=config.width,
                dense_depth=config.depth,
                linear=config.linear,
                activation=config.activation,
                group_size=config.group_size,
                lipschitz=config.lipschitz,
            )
        return models.dense_critic(
            shape,
            width=config.width,
            depth=config.depth,
            linear=config.linear,
            activation=config.activation,
            group_size=config.group_size,
            lipschitz=config.lipschitz,
        )
    except (ValueError, TypeError) as error:
        raise UsageError(f"cannot build the critic: {' '.join(str(error).split())}") from error
