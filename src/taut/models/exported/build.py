"""From a description and weights to the folded network, without training code and without data."""

from collections.abc import Iterator, Mapping
from itertools import chain

import torch
from torch import Tensor, nn

from taut.errors import UserError
from taut.models.classifiers import classifiers
from taut.models.exported.description import Description
from taut.models.exported.probe import agrees, probe_logits
from taut.nn import fold

LARGE = 2**20
"""Entries of a network that is built without weights of its own first."""


def rebuilt(description: Description, weights: Mapping[str, Tensor], *, source: str) -> nn.Module:
    """The folded network in evaluation mode with `weights`, not to be trained further; torch's random numbers are left
    as they were.

    Raises UserError, naming `source`, where no such network can be built, the weights do not fit it, or it computes
    other logits than the one that was exported.
    """
    if description.architecture not in classifiers():
        raise UserError(f"{source} has the architecture {description.architecture!r}, which this taut does not know")
    # On "meta" nothing is initialised or made orthogonal only to be overwritten, which takes minutes of large networks.
    # But not every layer can be built there, and torch takes seconds to get ready for it.
    large = sum(tensor.numel() for tensor in weights.values()) >= LARGE
    for device in ("meta", "cpu") if large else ("cpu",):
        try:
            with torch.random.fork_rng(devices=[]), torch.device(device):
                network = _empty(description)
        except (RuntimeError, TypeError, ValueError) as error:
            if device == "meta":
                continue
            raise UserError(f"{source}: cannot build the network: {' '.join(str(error).split())}") from error
        _fill(network, weights, source)
        if any(tensor.is_meta for tensor in _tensors(network)):
            continue
        try:
            logits = probe_logits(network, description.input_shape)
        except UserError as error:
            raise UserError(f"{source}: {error}") from error
        if agrees(logits, description.probe):
            return network.requires_grad_(False)
    from taut import __version__

    raise UserError(
        f"{source}: taut {__version__} makes a network of it that computes other logits than the one that taut "
        f"{description.taut} exported: use that version"
    )


def _empty(description: Description) -> nn.Module:
    build = classifiers()[description.architecture]
    network = build(description.input_shape, len(description.classes), description.options)
    return fold(nn.Sequential(network, nn.Tanh()) if description.tanh else network).eval()


def _fill(network: nn.Module, weights: Mapping[str, Tensor], source: str) -> None:
    kinds = {tensor.dtype for tensor in weights.values() if tensor.is_floating_point() or tensor.is_complex()}
    if len(kinds) > 1 or any(kind.is_complex for kind in kinds):
        raise UserError(f"{source}: the weights must be of one real type, not {', '.join(sorted(map(str, kinds)))}")
    try:
        network.to(next(iter(kinds), None)).load_state_dict(dict(weights), assign=True)
    except RuntimeError as error:
        first = next((line.strip() for line in str(error).splitlines()[1:]), "").rstrip(".")
        raise UserError(f"{source}: the weights do not fit the network that is described there: {first}") from error


def _tensors(network: nn.Module) -> Iterator[Tensor]:
    """Also those that are no state of the network."""
    loose = (value for module in network.modules() for value in vars(module).values() if isinstance(value, Tensor))
    return chain(network.parameters(), network.buffers(), loose)
