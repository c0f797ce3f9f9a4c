"""The shapes that a network's activations have learned, written as numbers that a report can draw without the network.

`activations.safetensors` has, for the activation number I in the network, of the class CLASS, at the place NAME:

- `I/CLASS/NAME/knots`, `values` and `slopes` for functions of one number that are linear between knots: (channels, k),
  (channels, k) and (channels, k + 1), the first and the last slope those beyond the outer knots;
- `I/CLASS/NAME/angles` for Householder activations: (1, pairs) or (3, pairs), as `taut.nn.HouseholderActivation` says.
"""

from pathlib import Path

import torch
from torch import Tensor, nn

from taut import nn as tnn
from taut.files import write_tensors
from taut.training.run_folder import RunFolder

FILE = "activations.safetensors"

_SMOOTH_REACH = 4.0
_SMOOTH_POINTS = 161


def write_activations(folder: RunFolder, model: nn.Module) -> Path | None:
    """Write the shapes of the activations of the trained network `model`, not folded; returns the path.

    Nothing is written, and None returned, where `model` has learned none. Smooth activations, which learn nothing, are
    written along with others that do.
    """
    shapes = [(name, module, _shape(module)) for name, module in model.named_modules()]
    known = [(name, module, shape) for name, module, shape in shapes if shape]
    if not any(list(module.parameters()) for _, module, _ in known):
        return None
    tensors = {
        f"{index:03d}/{type(module).__name__}/{name}/{part}": tensor
        for index, (name, module, shape) in enumerate(known)
        for part, tensor in shape.items()
    }
    path = folder.path / FILE
    write_tensors(path, tensors)
    return path


@torch.no_grad()
def _shape(module: nn.Module) -> dict[str, Tensor]:
    if isinstance(module, tnn.HouseholderActivation):
        return {"angles": module.angles.detach().double()}
    if isinstance(module, tnn.LinearSpline):
        return _spline(module)
    if isinstance(module, tnn.NActivation):
        low, high = module.thresholds.double().sort(dim=0).values
        slopes = torch.tensor([1.0, -1.0, 1.0], dtype=torch.float64).expand(len(low), 3)
        return {
            "knots": torch.stack((low, high), 1).cpu(),
            "values": torch.stack((-low, -high), 1).cpu(),
            "slopes": slopes,
        }
    if isinstance(module, tnn.LipschitzPReLU | nn.PReLU):
        below = module.slope() if isinstance(module, tnn.LipschitzPReLU) else module.weight
        slopes = torch.stack((below, torch.ones_like(below)), 1).double()
        return {"knots": torch.zeros_like(slopes[:, :1]), "values": torch.zeros_like(slopes[:, :1]), "slopes": slopes}
    if isinstance(module, tnn.Smooth):
        return _sampled(module)
    return {}


def _spline(module: tnn.LinearSpline) -> dict[str, Tensor]:
    pieces = module.fold().state_dict()
    start, rises, inverse_step = (pieces[name].double() for name in ("start", "rises", "inverse_step"))
    numbers = torch.arange(module.knots, dtype=torch.float64, device=start.device) - (module.knots - 1) / 2
    slopes = rises * inverse_step[:, None]
    return {
        "knots": numbers / inverse_step[:, None],
        "values": start[:, None] + nn.functional.pad(rises.cumsum(1), (1, 0)),
        "slopes": torch.cat((slopes[:, :1], slopes, slopes[:, -1:]), 1),
    }


def _sampled(module: tnn.Smooth) -> dict[str, Tensor]:
    """As linear between many points: for a picture."""
    knots = torch.linspace(-_SMOOTH_REACH, _SMOOTH_REACH, _SMOOTH_POINTS, dtype=torch.float64)
    values = module(knots)
    slopes = values.diff() / knots.diff()
    ends = torch.cat((slopes[:1], slopes, slopes[-1:]))
    return {"knots": knots[None], "values": values[None], "slopes": ends[None]}
