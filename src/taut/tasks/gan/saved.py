"""The generator of a finished GAN run, read back as a distribution of pictures."""

from pathlib import Path

import safetensors.torch
import torch
from jaxtyping import Float32
from safetensors import SafetensorError
from torch import Tensor, nn

from taut import data
from taut.data.distributions import Distribution
from taut.errors import UsageError, UserError
from taut.tasks.gan.config import Config
from taut.tasks.gan.parts import build_generator, pictures
from taut.training.run_folder import open_run
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
    folder, manifest = open_run(path)
    if manifest.task != Config.task:
        raise UsageError(f"{path} is a run of the task {manifest.task}, not {Config.task}: it has no generator")
    config = from_plain(Config, manifest.config, source=str(folder.config))
    shape = data.problem(config.data.dataset, config.data.data_root).shape
    generator = build_generator(config, shape)
    file = path / GENERATOR
    if not file.is_file():
        raise UserError(f"{path} has no generator yet; finish it with: taut train --resume {path}")
    try:
        generator.load_state_dict(safetensors.torch.load(file.read_bytes()))
    except (SafetensorError, OSError, ValueError) as error:
        raise UserError(f"{file} is damaged: {error}") from error
    except RuntimeError as error:
        raise UserError(f"{file} does not fit the generator of {folder.config}") from error
    return Generated(generator.eval(), latent=config.gan.latent, shape=shape, name=path.resolve().name)
