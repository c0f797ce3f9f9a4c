"""The generator of a finished GAN run, read back as a distribution of pictures."""

from pathlib import Path

import torch
from jaxtyping import Float32
from torch import Tensor, nn

from taut import data
from taut import nn as tnn
from taut.data.distributions import Distribution
from taut.errors import UsageError
from taut.tasks.gan.config import Config
from taut.tasks.gan.parts import build_gan_critic, build_generator, pictures
from taut.tasks.weights import load_weights
from taut.training.run_folder import RunFolder, open_run
from taut.training.serialise import from_plain

GENERATOR = "generator.safetensors"
CRITIC = "critic.safetensors"


class Generated(Distribution):
    """The pictures of a generator, without end."""

    def __init__(self, generator: nn.Module, *, latent: int, shape: tuple[int, ...], name: str) -> None:
        self._generator, self._latent, self._shape, self._name = generator, latent, shape, name

    @property
    def shape(self) -> tuple[int, ...]:
        return self._shape

    @property
    def description(self) -> str:
        return f"pictures of the generator {self._name}"

    def sample(self, count: int, generator: torch.Generator) -> Float32[Tensor, "count *shape"]:
        if count < 1:
            raise ValueError(f"count must be at least 1, got {count}")
        return pictures(self._generator, torch.randn(count, self._latent, generator=generator))


def load_generator(path: Path) -> Generated:
    """The generator of the GAN run `path`; its data are not needed.

    Raises:
        UsageError: Not the folder of a GAN run, or one of another version.
        UserError: Training has not finished, or files are damaged.
    """
    folder, config, shape = _read(path)
    generator = build_generator(config, shape)
    load_weights(generator, path / GENERATOR, folder)
    return Generated(generator, latent=config.gan.latent, shape=shape, name=path.resolve().name)


def load_network(path: Path) -> tuple[nn.Module, tuple[int, ...]]:
    """The critic of the GAN run `path`, folded, and the shape of one picture. Errors as above."""
    folder, config, shape = _read(path)
    critic = build_gan_critic(config, shape)
    load_weights(critic, path / CRITIC, folder)
    return tnn.fold(critic).eval(), shape


def _read(path: Path) -> tuple[RunFolder, Config, tuple[int, ...]]:
    folder, manifest = open_run(path)
    if manifest.task != Config.task:
        raise UsageError(f"{path} is a run of the task {manifest.task}, not {Config.task}: it has no generator")
    config = from_plain(Config, manifest.config, source=str(folder.config))
    return folder, config, data.problem(config.data.dataset, config.data.data_root).shape
