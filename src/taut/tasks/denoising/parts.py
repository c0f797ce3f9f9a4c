"""From a config to untrained networks, and from trained networks to denoisers."""

from collections.abc import Mapping

from torch import nn

from taut import models
from taut import nn as tnn
from taut.errors import UsageError, UserError
from taut.imaging import Denoiser, nonexpansive
from taut.tasks.denoising.config import Config


def build_networks(config: Config) -> nn.ModuleDict:
    """ "denoiser", and "unconstrained" where one is trained beside. UsageError for what no such network has."""
    model, channels = config.model, config.data.channels
    networks = nn.ModuleDict()
    try:
        networks["denoiser"] = models.conv_denoiser(
            channels,
            width=model.width,
            depth=model.depth,
            convolution=model.convolution,
            activation=model.activation,
            group_size=model.group_size,
            knots=model.knots,
            spline_range=model.spline_range,
            padding_mode=model.padding_mode,
            downsampling=model.downsampling,
            threshold=_threshold(config),
        )
        if config.evaluation.beside == "unconstrained":
            networks["unconstrained"] = models.plain_denoiser(
                channels,
                width=model.width,
                depth=model.depth,
                padding_mode=model.padding_mode,
                downsampling=model.downsampling,
            )
    except (TypeError, ValueError) as error:
        raise UsageError(f"cannot build the denoiser: {' '.join(str(error).split())}") from error
    return networks


def _threshold(config: Config) -> float:
    model = config.model
    can = models.starts_as_shrinkage(depth=model.depth, convolution=model.convolution, activation=model.activation)
    return model.threshold * config.data.sigma / 255 if can else 0.0


def make_denoiser(network: nn.Module, config: Config, *, name: str) -> Denoiser:
    """What a trained network is used as: "denoiser" made exactly nonexpansive, "unconstrained" as it is.

    UserError where no constant can be proven of the denoiser.
    """
    folded = tnn.fold(network).cpu().eval()
    if name == "denoiser":
        try:
            folded = nonexpansive(folded)
        except (TypeError, ValueError) as error:
            raise UserError(
                f"no Lipschitz constant can be proven of this denoiser: {' '.join(str(error).split())}"
            ) from error
    return Denoiser(
        folded,
        channels=config.data.channels,
        sigma=config.data.sigma / 255,
        averaging=config.model.averaging,
        multiple=config.model.downsampling,
        name=name,
    )


def make_denoisers(networks: Mapping[str, nn.Module], config: Config) -> dict[str, Denoiser]:
    """All of them, by name."""
    return {name: make_denoiser(network, config, name=name) for name, network in networks.items()}
