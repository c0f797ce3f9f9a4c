"""One network of finished fits, read back as an ordinary one."""

from pathlib import Path
from typing import Literal

from torch import nn

from taut import nn as tnn
from taut.errors import UsageError, UserError
from taut.files import read_tensors
from taut.tasks.fit_1d.config import Config
from taut.tasks.fit_1d.kinds import network
from taut.tasks.fit_1d.learner import cell_name
from taut.tasks.running import finished_result
from taut.training.run_folder import open_run
from taut.training.serialise import from_plain


def load_network(
    path: Path,
    *,
    activation: str | None = None,
    linear: str | None = None,
    model: int | Literal["median", "best"] = "median",
    fold: bool = True,
) -> tuple[nn.Module, tuple[int, ...]]:
    """A network of the run folder `path`, and the shape (1,) of one input; the best of all cells where none is named.

    Args:
        path: Folder of a finished run.
        activation: Of the cell; the one whose cell has the smallest median error when absent.
        linear: Of the cell; likewise.
        model: Number of the network, or the one with the median or the smallest error of its cell.
        fold: Whether it is plain torch in float64, with error and proven constant of result.json up to rounding;
            otherwise its constrained layers are kept, in the floating-point type of training.

    Raises:
        UsageError: Not the folder of such a run, or one without this cell or network.
        UserError: Training has not finished, or files are damaged.
    """
    folder, manifest = open_run(path)
    if manifest.task != Config.task:
        raise UsageError(f"{path} is a run of the task {manifest.task}, not {Config.task}")
    config = from_plain(Config, manifest.config, source=str(folder.config))
    if not folder.result.is_file():
        raise UserError(f"{path} is not finished; finish it with: taut train --resume {path}")
    with finished_result(folder) as result:
        cells = [
            cell
            for cell in result["cells"]
            if activation in (None, cell["activation"]) and linear in (None, cell["linear"])
        ]
        if not cells:
            known = ", ".join(cell_name(*cell) for cell in config.networks.cells)
            raise UsageError(f"{path} has no networks {activation or 'any'}/{linear or 'any'}; it has {known}")
        cell = min(cells, key=lambda cell: float(cell["median"]))
        index = int(cell[f"{model}_model"]) if isinstance(model, str) else model
    if not 0 <= index < config.networks.models:
        raise UsageError(f"model must be in [0, {config.networks.models}), got {index}")
    prefix = cell_name(cell["activation"], cell["linear"]) + "."
    stacked = {name: tensor for name, tensor in read_tensors(folder.model).items() if name.startswith(prefix)}
    found = network(cell["activation"], cell["linear"], **config.networks.sizes)
    try:
        weights = {name.removeprefix(prefix): tensor[index] for name, tensor in stacked.items()}
        found.to(next(iter(weights.values())).dtype).load_state_dict(weights)
    except (RuntimeError, IndexError, StopIteration) as error:
        raise UserError(f"{folder.model} does not fit the networks of {folder.config}") from error
    found.eval()
    return (tnn.fold(found.double()) if fold else found), (1,)
