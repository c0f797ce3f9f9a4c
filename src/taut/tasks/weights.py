"""Weights of a finished run, put back into the network that they were trained in."""

from pathlib import Path

from torch import nn

from taut.errors import UserError
from taut.files import read_tensors
from taut.training.run_folder import RunFolder


def load_weights(network: nn.Module, path: Path, folder: RunFolder) -> None:
    """Fill `network` from the file `path` of a run, in the floating-point type that they were written in.

    Raises UserError where the run is not finished, or the file is damaged or of another network.
    """
    if not path.is_file():
        raise UserError(f"{folder.path} has no final weights yet; finish it with: taut train --resume {folder.path}")
    weights = read_tensors(path)
    floating = next((tensor.dtype for tensor in weights.values() if tensor.is_floating_point()), None)
    try:
        network.to(floating).load_state_dict(weights)
    except RuntimeError as error:
        raise UserError(f"{path} does not fit the network of {folder.config}") from error
    network.eval()
