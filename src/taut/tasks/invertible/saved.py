"""The network of a finished run, read back: to be audited, to be inverted, and as a distribution."""

from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float32, Float64
from torch import Tensor, nn

from taut import nn as tnn
from taut.data.distributions import Distribution
from taut.errors import UsageError, UserError
from taut.files import read_json
from taut.models import InvertibleNetwork, proven_contractions
from taut.tasks.invertible.config import Config
from taut.tasks.invertible.problem import build_network
from taut.tasks.weights import load_weights
from taut.training.run_folder import open_run
from taut.training.serialise import from_plain


def load_flow(path: Path) -> InvertibleNetwork:
    """The network of the run folder `path` as it was trained, in float64, with its inverse. The data are not needed.

    Raises:
        UsageError: Not the folder of a run of this task, or one of another version.
        UserError: Training has not finished, or files are damaged.
    """
    folder, manifest = open_run(path)
    if manifest.task != Config.task:
        raise UsageError(f"{path} is a run of the task {manifest.task}, not {Config.task}")
    config = from_plain(Config, manifest.config, source=str(folder.config))
    if not folder.result.is_file():
        raise UserError(f"{path} is not finished; finish it with: taut train --resume {path}")
    try:
        features = int(read_json(folder.result)["features"])
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{folder.result} is damaged: it has no number of features") from error
    network = build_network(config.network, features)
    load_weights(network, folder.model, folder)
    return network.double()


def load_network(path: Path) -> tuple[nn.Module, tuple[int, ...]]:
    """The folded network of the run folder `path`, in float64 as it was measured, and the shape of one sample.

    Errors as those of `load_flow`.
    """
    flow = load_flow(path)
    network = tnn.fold(flow)
    folder, _ = open_run(path)
    load_weights(network, folder.folded, folder)
    return network, (len(flow.first.scale),)


def load_distribution(path: Path, *, tolerance: float = 1e-6) -> Distribution:
    """What the network of the run folder `path` has learned: samples within `tolerance` of the exact ones, proven but
    for rounding, and their density. Errors as those of `load_flow`."""
    flow = load_flow(path)
    return _Learned(flow=flow, rates=proven_contractions(flow), tolerance=tolerance, name=path.name)


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class _Learned(Distribution):
    flow: InvertibleNetwork
    rates: tuple[float, ...]
    tolerance: float
    name: str

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self.flow.first.scale),)

    @property
    def description(self) -> str:
        return f"what the invertible network of {self.name} has learned"

    def sample(self, count: int, generator: torch.Generator) -> Float32[Tensor, "count *shape"]:
        if count < 1:
            raise ValueError(f"count must be at least 1, got {count}")
        latents = torch.randn(count, *self.shape, generator=generator, dtype=torch.float64)
        return self.flow.inversion(latents, tolerance=self.tolerance, contractions=self.rates).x.float()

    @torch.no_grad()
    def log_density(self, x: Tensor) -> Float64[Tensor, " count"] | None:
        """Exact but for rounding."""
        return self.flow.log_prob(x.double())
