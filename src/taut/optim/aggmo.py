r"""Gradient descent with several momenta at once: some remember long, some damp what the long ones would overshoot."""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor


class AggMo(torch.optim.Optimizer):
    r"""b_k <- beta_k b_k + g for each of K momenta; p <- p - (lr / K) sum_k b_k.

    A momentum of 0.999 alone oscillates; averaged with shorter ones it is stable at the same rate, which is why
    networks of orthogonal layers are trained with it. With one beta it is SGD with momentum.

    Args:
        params: parameters or groups of them, as for any torch optimizer.
        lr: the rate; a constant gradient moves a parameter by lr mean_k 1 / (1 - beta_k) times it in the long run,
            37 lr with the default betas.
        betas: the momenta, one or more numbers in [0, 1). Each that is not 0 costs one copy of the parameters.
        weight_decay: this much of the parameter is added to its gradient.

    State: tensors only, `momentum_k` for each beta_k that is not 0. Parameters without a gradient are left alone.

    Errors: ValueError for a negative or infinite lr or weight decay, no beta or one outside [0, 1), also of a single
    group; RuntimeError for a sparse gradient.
    Source: Lucas, Sun, Zemel and Grosse (2019).

    >>> import torch
    >>> p = torch.nn.Parameter(torch.tensor([1.0]))
    >>> optimizer = AggMo([p], lr=0.2, betas=(0.0, 0.5))
    >>> for _ in range(2):
    ...     p.grad = torch.ones(1)
    ...     optimizer.step()
    >>> p.data  # moved by 0.1 (1 + 1), then by 0.1 (1 + 1.5)
    tensor([0.5500])
    """

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[dict[str, Any]] | Iterable[tuple[str, Tensor]],
        lr: float = 0.01,
        *,
        betas: Sequence[float] = (0.0, 0.9, 0.99),
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(params, {"lr": lr, "betas": tuple(betas), "weight_decay": weight_decay})

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add parameters, with options of their own where given."""
        _check({**self.defaults, **param_group})
        super().add_param_group(param_group)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        """One update; returns what `closure`, which recomputes the gradients, returns."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            # one call for all tensors needs them to be alike
            alike: dict[tuple[torch.device, torch.dtype], list[Tensor]] = {}
            for parameter in group["params"]:
                if parameter.grad is not None:
                    alike.setdefault((parameter.device, parameter.dtype), []).append(parameter)
            for parameters in alike.values():
                self._update(parameters, group)
        return loss

    def _update(self, parameters: list[Tensor], group: dict[str, Any]) -> None:
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        if any(gradient.is_sparse for gradient in gradients):
            raise RuntimeError("AggMo does not take sparse gradients")
        if group["weight_decay"]:
            gradients = list(torch._foreach_add(gradients, parameters, alpha=group["weight_decay"]))
        share = -float(group["lr"]) / len(group["betas"])
        for k, beta in enumerate(group["betas"]):
            momenta = gradients
            if beta:
                momenta = [self._momentum(parameter, k) for parameter in parameters]
                torch._foreach_mul_(momenta, beta)
                torch._foreach_add_(momenta, gradients)
            torch._foreach_add_(parameters, momenta, alpha=share)

    def _momentum(self, parameter: Tensor, k: int) -> Tensor:
        state, name = self.state[parameter], f"momentum_{k}"
        if name not in state:
            state[name] = torch.zeros_like(parameter, memory_format=torch.preserve_format)
        return state[name]


def _check(group: dict[str, Any]) -> None:
    for name in ("lr", "weight_decay"):
        if not 0 <= float(group[name]) < math.inf:
            raise ValueError(f"{name} must be a finite number that is not negative, got {group[name]!r}")
    if not group["betas"] or not all(0 <= beta < 1 for beta in group["betas"]):
        raise ValueError(f"betas must be one or more numbers in [0, 1), got {group['betas']!r}")
