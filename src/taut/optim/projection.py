"""Bring weights back to their constraint after an update."""

from torch import nn


def project_(model: nn.Module, *, exact: bool = False) -> None:
    """Call `project_()` of every layer that is constrained by projection, such as `taut.nn.ParsevalLinear`.

    To be called after each optimizer step, and with `exact=True` when training ends and on averaged weights. In place.

    >>> import torch, taut
    >>> net = torch.nn.Sequential(taut.nn.ParsevalLinear(4, 2))
    >>> with torch.no_grad():
    ...     _ = net[0].weight.mul_(1.2)
    >>> project_(net)
    >>> bool(torch.linalg.svdvals(net[0].weight).amax() < 1.1)
    True
    """
    for module in model.modules():
        step = getattr(module, "project_", None)
        if callable(step):
            step(exact=exact)
