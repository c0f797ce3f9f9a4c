"""The denoisers of a finished run, read back."""

from pathlib import Path

from taut import nn as tnn
from taut.errors import UsageError, UserError
from taut.imaging import Denoiser
from taut.tasks.denoising.config import Config
from taut.tasks.denoising.parts import build_networks, make_denoiser
from taut.tasks.weights import load_weights
from taut.training.run_folder import RunFolder, open_run
from taut.training.serialise import from_plain

UNCONSTRAINED = "unconstrained.safetensors"


def load_denoiser(path: Path, *, unconstrained: bool = False) -> Denoiser:
    """The denoiser of the run folder `path`, its constant proven again; or the net that was trained beside it.

    Its sigma is in units of the images, [0, 1]. The data are not needed.

    Raises:
        UsageError: Not the folder of a denoiser, or one of another version.
        UserError: Training has not finished, files are damaged, or no unconstrained net was trained beside.
    """
    folder, manifest = open_run(path)
    if manifest.task != Config.task:
        raise UsageError(f"{path} is a run of the task {manifest.task}, not {Config.task}")
    config = from_plain(Config, manifest.config, source=str(folder.config))
    name = "unconstrained" if unconstrained else "denoiser"
    networks = build_networks(config)
    if name not in networks:
        raise UserError(f"{path} has no unconstrained net: it was trained with --beside none")
    network = tnn.fold(networks[name])
    load_weights(network, unconstrained_weights(folder) if unconstrained else folder.folded, folder)
    return make_denoiser(network, config, name=name)


def unconstrained_weights(folder: RunFolder) -> Path:
    """Where a run keeps the weights of the net without constraint."""
    return folder.path / UNCONSTRAINED
