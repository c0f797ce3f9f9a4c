"""A finished run, read back: its config, its folded network, its data."""

from dataclasses import dataclass
from pathlib import Path

from torch import nn

from taut import data
from taut import nn as tnn
from taut.data import Dataset, Problem
from taut.errors import UsageError, UserError
from taut.files import read_json, sha256
from taut.tasks.classification.config import Config
from taut.tasks.classification.parts import build_model
from taut.tasks.classification.streamed import is_streamed, open_streamed, saved_problem
from taut.tasks.classification.subset import chosen
from taut.tasks.weights import load_weights
from taut.training.run_folder import RunFolder, open_run
from taut.training.serialise import from_plain


@dataclass(frozen=True, kw_only=True)
class SavedRun:
    """What `taut evaluate`, `attack`, `certify`, `audit` and `verify` start from."""

    folder: RunFolder
    config: Config
    dataset: Dataset
    model: nn.Module
    """The folded network, with the weights that were certified, bit for bit."""


def load_run(path: Path, *, data_root: Path | None = None) -> SavedRun:
    """Read the run folder `path`; `data_root` replaces the one that it was trained with.

    Raises:
        UsageError: Not a run folder, or one of another version.
        UserError: Training has not finished, files are damaged, or data are missing.
    """
    folder, config = read_config(path)
    data_root = data_root or config.data.data_root
    model = _read_network(folder, config, network_problem(folder, config, data_root))
    if is_streamed(config):
        dataset = open_streamed(config, world_size=1, data_root=data_root).head
    else:
        dataset = chosen(config.data, data_root=data_root, folder=folder).dataset
    return SavedRun(folder=folder, config=config, dataset=dataset, model=model)


def load_network(path: Path) -> tuple[nn.Module, tuple[int, ...]]:
    """The folded network of the run folder `path` and the shape of one input; the data are not needed. Errors as
    above."""
    folder, config = read_config(path)
    problem = network_problem(folder, config, config.data.data_root)
    return _read_network(folder, config, problem), problem.shape


def read_config(path: Path) -> tuple[RunFolder, Config]:
    """The folder of a classification run and its configuration. UsageError where it is not one."""
    folder, manifest = open_run(path)
    if manifest.task != Config.task:
        raise UsageError(f"{path} is a run of the task {manifest.task}, not {Config.task}")
    return folder, from_plain(Config, manifest.config, source=str(folder.config))


def network_problem(folder: RunFolder, config: Config, data_root: Path | None) -> Problem:
    """Shape and classes that the network of the run in `folder` was trained for. Errors as above."""
    return saved_problem(config, folder) if is_streamed(config) else data.problem(config.data.dataset, data_root)


def _read_network(folder: RunFolder, config: Config, problem: Problem) -> nn.Module:
    model = tnn.fold(build_model(config.model, problem))
    load_weights(model, folder.folded, folder)
    written = read_json(folder.result).get("folded_sha256") if folder.result.is_file() else None
    if written not in (None, sha256(folder.folded)):  # None: a run from before it was kept
        raise UserError(f"{folder.folded} is not the file that the numbers of {folder.result} are of: it has changed")
    return model
