"""From a config to the networks of a GAN, and from latents to pictures."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from taut import models
from taut.errors import UsageError
from taut.tasks.critic import build_critic
from taut.tasks.gan.config import Config
from taut.training.seeding import stream

_CHUNK = 500


def build_generator(config: Config, shape: tuple[int, ...]) -> nn.Module:
    """The infoGAN generator that `config` describes. Raises UsageError for pictures that it cannot make."""
    try:
        return models.infogan_generator(shape, latent=config.gan.latent, width=config.gan.generator_width)
    except ValueError as error:
        raise UsageError(f"cannot build the generator: {' '.join(str(error).split())}") from error


def build_gan_critic(config: Config, shape: tuple[int, ...]) -> nn.Module:
    """The critic: with a proven constant for lwgan, the infoGAN discriminator otherwise. Raises UsageError."""
    if config.gan.gan_type == "lwgan":
        return build_critic(config.critic, shape)
    try:
        return models.infogan_discriminator(
            shape, width=config.gan.discriminator_width, normalisation=config.gan.discriminator_normalisation
        )
    except ValueError as error:
        raise UsageError(f"cannot build the discriminator: {' '.join(str(error).split())}") from error


def latents(count: int, size: int, *parts: int | str) -> Tensor:
    """`count` standard normal latents that follow from `parts` alone."""
    return torch.randn(count, size, generator=stream(*parts))


@torch.no_grad()
def pictures(generator: nn.Module, z: Tensor) -> Tensor:
    """What `generator` makes of latents, in evaluation mode, on the CPU; its mode is as before afterwards."""
    device = next(generator.parameters()).device
    training = generator.training
    generator.eval()
    try:
        return torch.cat([generator(part.to(device)).cpu() for part in z.split(_CHUNK)])
    finally:
        generator.train(training)


@torch.no_grad()
def renew_statistics(generator: nn.Module, size: int, *, seed: int, batches: int = 100, batch_size: int = 128) -> None:
    """Batch norm's running statistics for the weights as they are now: those of an average are of other weights."""
    norms = [module for module in generator.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the plain mean over all batches
    device = next(generator.parameters()).device
    generator.train()
    for batch in range(batches):
        generator(latents(batch_size, size, seed, "statistics", batch).to(device))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    generator.eval()


def interpolation(size: int, *, rows: int, columns: int, seed: int) -> Iterator[Tensor]:
    """Latents on great arcs between pairs of random ones, a row each: lengths stay those of a typical latent."""
    ends = latents(2 * rows, size, seed, "interpolation").view(rows, 2, size)
    share = torch.linspace(0, 1, columns)[:, None]
    for start, end in ends:
        angle = torch.arccos((start @ end / (start.norm() * end.norm())).clamp(-1, 1))
        direction = torch.sin((1 - share) * angle) * start / start.norm() + torch.sin(share * angle) * end / end.norm()
        yield direction / torch.sin(angle) * torch.lerp(start.norm(), end.norm(), share)
