"""Lookahead: an optimizer that from time to time goes back part of the way that it has come."""

from typing import Any

import torch
from torch import Tensor


class LookaheadHook:
    r"""After every k steps of `optimizer`: slow <- slow + a (fast - slow), fast <- slow, for every parameter.

    The slow weights start where the parameters are before the first step, and are kept in the optimizer's state: they
    are saved and restored with it. Constrained layers compute their weights from their parameters, which may be
    anything, so a parametrised constraint holds before and after; layers that are projected need their projection after
    it (`ProjectionHook` that is made later, or `project_`).

    Errors: ValueError for k below 1, or a outside (0, 1]. `remove()` ends it.
    Source: Zhang, Lucas, Hinton and Ba (2019).

    >>> weight = torch.nn.Parameter(torch.zeros(1))
    >>> optimizer = torch.optim.SGD([weight], lr=1.0)
    >>> hook = LookaheadHook(optimizer, every=2, share=0.5)
    >>> for _ in range(2):
    ...     weight.grad = torch.ones(1)
    ...     optimizer.step()
    >>> weight.tolist()
    [-1.0]
    """

    def __init__(self, optimizer: torch.optim.Optimizer, *, every: int = 5, share: float = 0.5) -> None:
        if isinstance(every, bool) or not isinstance(every, int) or every < 1:
            raise ValueError(f"every must be a positive number of steps, got {every!r}")
        if not 0 < share <= 1:
            raise ValueError(f"share must be in (0, 1], got {share!r}")
        self.every, self.share = every, share
        # Some optimizers take an empty state for the sign to begin: theirs comes first, then ours.
        self._first: dict[int, Tensor] = {}
        self._handles = [
            optimizer.register_step_pre_hook(self._remember),
            optimizer.register_step_post_hook(self._after),
        ]

    def remove(self) -> None:
        """Let the optimizer step as before."""
        for handle in self._handles:
            handle.remove()

    def _remember(self, optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        del args, kwargs
        for parameter in _moving(optimizer):
            if "slow" not in optimizer.state.get(parameter, {}):
                self._first[id(parameter)] = parameter.detach().clone()

    @torch.no_grad()
    def _after(self, optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        del args, kwargs
        for parameter in _moving(optimizer):
            state = optimizer.state[parameter]
            if "slow" not in state:
                state["slow"], state["slow_step"] = self._first.pop(id(parameter)), torch.zeros(())
            state["slow_step"] += 1
            if int(state["slow_step"]) % self.every == 0:
                parameter.copy_(state["slow"].lerp_(parameter, self.share))


def _moving(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    return [p for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
