"""What is added to a loss because of the network alone."""

from typing import Any

from torch import Tensor, nn

from taut.training.optimizers import OptimizerConfig


def penalty(model: nn.Module, config: OptimizerConfig) -> Tensor | None:
    """`config.tv2` times the second-order total variation of all learned splines in `model`, to be added to its loss.

    A module takes part by a method `tv2()` that returns the sum of the absolute changes of slope of its functions, as
    that of `taut.nn.LinearSpline` does (Bohra, Campos, Gupta, Aziznejad and Unser, 2020). None where the weight is 0 or
    no module has one.

    Example:
        >>> import taut
        >>> net = nn.Sequential(nn.Linear(3, 2), taut.nn.LinearSpline(2, knots=5, init="absolute"))
        >>> penalty(net, OptimizerConfig(tv2=0.5)).item()  # each of the two absolute values turns from -1 to 1
        2.0
    """
    if not config.tv2:
        return None
    found = [_tv2(module) for module in model.modules() if hasattr(module, "tv2")]
    return config.tv2 * sum(found[1:], start=found[0]) if found else None


def _tv2(module: Any) -> Tensor:
    return module.tv2()
