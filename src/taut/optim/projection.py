"""Bring weights back to their constraint after an update, by hand or as a hook of any torch optimizer."""

from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

Momentum = Literal["keep", "displacement", "reset"]
"""What becomes of an optimizer's state after a projection; see `ProjectionHook`."""


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


class ProjectionHook:
    r"""Makes `optimizer.step()` end with a projection of `model`, after every `every` steps: x <- P(x - update).

    Layers are those with a method `project_`, such as `taut.nn.ParsevalLinear`, or your own. Weights are changed in
    place, so that what the optimizer knows them by stays; gradients are those of the point before the step, and are
    dropped as after any step. Between two projections, with `every` above 1, and in averages of weights, the constraint
    need not hold: call `project(exact=True)` at the end, and `project_(average, exact=True)` on an average (an average
    of points of a convex set needs none). Bounds and certificates always measure the weights that are there.

    `momentum` says what becomes of the state of a weight that the projection moved:

    - "keep": nothing, which is projected gradient descent with the optimizer's own update: right for averages of
      gradients (SGD's momentum, Adam's moments, AggMo), which are no points.
    - "displacement": SGD's buffer becomes (old - new) / lr, the step that was made and not the one that was undone:
      the heavy ball x <- P(x - lr g + momentum (x - x_old)). Only for torch.optim.SGD without dampening.
    - "reset": the state of the weight is forgotten, as after a projection that moves far (once an epoch, say).

    Optimizers whose state are points or differences of points (LBFGS, ASGD) are taken with "reset" alone.

    The count of steps is in `state_dict()`; with `every=1` nothing needs to be kept. A step that a gradient scaler
    skips is no step. `remove()` ends it.

    Errors: ValueError for `every` below 1, an unknown `momentum` or one that does not fit the optimizer, a model
    without layers that project, or none of whose weights the optimizer has.
    Source: Polyak (1964) for the heavy ball; Goldstein (1964), Levitin and Polyak (1966) for the projected gradient.

    >>> import torch, taut
    >>> net = torch.nn.Sequential(taut.nn.ParsevalLinear(4, 2))
    >>> optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    >>> hook = ProjectionHook(optimizer, net)
    >>> net(torch.ones(1, 4)).square().sum().backward()
    >>> optimizer.step()
    >>> bool(torch.linalg.svdvals(net[0].weight).amax() <= 1 + 1e-6)
    True
    """

    def __init__(
        self, optimizer: torch.optim.Optimizer, model: nn.Module, *, every: int = 1, momentum: Momentum = "keep"
    ) -> None:
        if isinstance(every, bool) or not isinstance(every, int) or every < 1:
            raise ValueError(f"every must be a positive number of steps, got {every!r}")
        _check_momentum(optimizer, momentum)
        self.optimizer, self.model, self.every, self.momentum = optimizer, model, every, momentum
        self.done = 0
        self._groups = _projected(optimizer, model)
        self._handles = [
            optimizer.register_step_pre_hook(self._remember),
            optimizer.register_step_post_hook(self._after),
        ]

    @torch.no_grad()
    def project(self, *, exact: bool = False) -> None:
        """Project now, and treat the optimizer's state as after a step; `exact` as of `project_`."""
        made = [weight.clone() for weight, _ in self._groups] if self.momentum != "keep" else []
        project_(self.model, exact=exact)
        for (weight, group), unprojected in zip(self._groups, made, strict=False):
            if not torch.equal(weight, unprojected):
                self._correct(weight, unprojected, group)

    def remove(self) -> None:
        """Let the optimizer step as before."""
        for handle in self._handles:
            handle.remove()

    def state_dict(self) -> dict[str, Any]:
        """How many steps are done."""
        return {"done": self.done}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from there."""
        self.done = int(state["done"])

    def _remember(self, optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        del optimizer, args, kwargs
        # groups may have been replaced since, by load_state_dict or add_param_group
        self._groups = _projected(self.optimizer, self.model)

    def _after(self, optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        del optimizer, args, kwargs
        self.done += 1
        if self.done % self.every == 0:
            self.project()

    def _correct(self, weight: Tensor, unprojected: Tensor, group: dict[str, Any]) -> None:
        state = self.optimizer.state
        if self.momentum == "reset":
            state.pop(weight, None)
            return
        buffer = state.get(weight, {}).get("momentum_buffer")
        if buffer is not None and group["lr"]:
            buffer.sub_((weight - unprojected) / float(group["lr"]))


def _check_momentum(optimizer: torch.optim.Optimizer, momentum: str) -> None:
    kind = type(optimizer).__name__
    if momentum not in get_args(Momentum):
        raise ValueError(f"momentum must be one of {', '.join(get_args(Momentum))}, got {momentum!r}")
    if momentum != "reset" and isinstance(optimizer, (torch.optim.LBFGS, torch.optim.ASGD)):
        raise ValueError(f"{kind} keeps points that a projection moves: momentum must be 'reset', got {momentum!r}")
    if momentum == "displacement":
        plain = isinstance(optimizer, torch.optim.SGD) and not any(g["dampening"] for g in optimizer.param_groups)
        if not plain:
            raise ValueError(f"momentum='displacement' is for torch.optim.SGD without dampening, not for {kind}")


def _projected(optimizer: torch.optim.Optimizer, model: nn.Module) -> list[tuple[Tensor, dict[str, Any]]]:
    """The weights of layers that project, each with its group of the optimizer."""
    layers = [module for module in model.modules() if callable(getattr(module, "project_", None))]
    if not layers:
        raise ValueError(f"{type(model).__name__} has no layer that projects, such as taut.nn.ParsevalLinear")
    held = {id(p): group for group in optimizer.param_groups for p in group["params"]}
    weights = {id(p): p for layer in layers for p in layer.parameters() if id(p) in held}
    if not weights:
        raise ValueError(
            f"this {type(optimizer).__name__} has no weight of a layer of {type(model).__name__} that projects"
        )
    return [(weight, held[key]) for key, weight in weights.items()]
