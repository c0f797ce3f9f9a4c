"""The critic of a finished run, read back."""

from pathlib import Path

import torch
from torch import nn

from taut import nn as tnn
from taut.errors import UsageError, UserError
from taut.files import read_json
from taut.tasks.critic import build_critic
from taut.tasks.wasserstein.config import Config
from taut.tasks.weights import load_weights
from taut.training.run_folder import open_run
from taut.training.serialise import from_plain
from taut.transport.samples import SampleScale, on_samples


def load_network(path: Path) -> tuple[nn.Module, tuple[int, ...]]:
    """The folded critic of the run folder `path`, in float64 as it was measured, and the shape of one sample.

    It takes samples as the distributions give them; its values are in their units. The data are not needed.

    Raises:
        UsageError: Not the folder of a Wasserstein run, or one of another version.
        UserError: Training has not finished, or files are damaged.
    """
    folder, manifest = open_run(path)
    if manifest.task != Config.task:
        raise UsageError(f"{path} is a run of the task {manifest.task}, not {Config.task}")
    config = from_plain(Config, manifest.config, source=str(folder.config))
    if not folder.result.is_file():
        raise UserError(f"{path} is not finished; finish it with: taut train --resume {path}")
    result = read_json(folder.result)
    try:
        shape, unit = tuple(map(int, result["shape"])), float(result["unit"])
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{folder.result} is damaged: it has no shape and unit of samples") from error
    scale = SampleScale(centre=torch.zeros(shape, dtype=torch.float64), unit=unit)
    network = tnn.fold(on_samples(build_critic(config.critic, shape), scale, shape, torch.float32))
    load_weights(network, folder.folded, folder)
    return network, shape
