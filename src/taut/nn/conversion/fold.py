"""From constrained layers to plain torch modules."""

import copy

import torch
from torch import fx, nn

from taut.nn.composition.scale import Scale
from taut.nn.composition.sequential import Sequential

_WEIGHTED = (
    nn.Linear,
    nn.Conv1d,
    nn.Conv2d,
    nn.Conv3d,
    nn.ConvTranspose1d,
    nn.ConvTranspose2d,
    nn.ConvTranspose3d,
)
"""Layers whose output can be multiplied by multiplying their parameters."""


@torch.no_grad()
def fold(model: nn.Module) -> nn.Module:
    r"""A copy of `model` made of plain torch modules: the same function, every constraint applied to the weights.

    Constrained layers become torch.nn.Linear and torch.nn.Conv* with contiguous weights, activations and residual
    blocks become graphs of torch functions and modules, and a Sequential with constant K becomes torch.nn.Sequential
    with K multiplied into its last linear layer or convolution. The copy needs no taut to run, pickle, export or save,
    costs what a plain network costs, and no longer follows the original's parameters. Modules without a constraint are
    copied as they are.

    >>> import torch
    >>> from taut import nn as tnn
    >>> fold(tnn.Sequential(tnn.BjorckLinear(4, 2), lipschitz=2.0))
    Sequential(
      (0): Linear(in_features=4, out_features=2, bias=True)
    )
    """
    copied = copy.deepcopy(model)
    for old, new in zip(model.modules(), copied.modules(), strict=False):
        if isinstance(new, fx.GraphModule):  # the copy of a graph is called GraphModule, whatever the graph was called
            new.__class__.__name__ = type(old).__name__
    return _folded(copied, {})


def _folded(module: nn.Module, done: dict[int, nn.Module]) -> nn.Module:
    """Fold the children, then the module itself; a module that is used twice stays one module."""
    if id(module) in done:
        return done[id(module)]
    original = module
    constrained = hasattr(module, "parametrizations") or hasattr(module, "project_")
    _remove_parametrizations(module)
    for name, child in list(module._modules.items()):
        if child is not None and name != "parametrizations":
            module._modules[name] = _folded(child, done)
    if isinstance(module, Sequential):
        module = _plain_sequential(module)
    elif callable(getattr(module, "fold", None)):
        module = module.fold()  # type: ignore[operator]
    elif constrained:
        module.__class__ = _torch_class(type(module))
    module.training = original.training
    done[id(original)] = module
    return module


def _torch_class(cls: type[nn.Module]) -> type[nn.Module]:
    """The torch class that a thin layer adds only a constraint to; `cls` itself when it has a forward of its own."""
    for base in cls.__mro__:
        if base.__module__.startswith("torch.nn"):
            return base if base.forward is cls.forward else cls
    return cls


def _remove_parametrizations(module: nn.Module) -> None:
    """Materialise the constrained tensors, without `parametrize.remove_parametrizations`.

    That one deletes the property from the injected class, which deep copies share: the original would lose its weight.
    """
    constrained = getattr(module, "parametrizations", {})
    values = {name: getattr(module, name) for name in constrained}
    trainable = {name: any(p.requires_grad for p in constrained[name].parameters()) for name in values}
    if values:
        del module.parametrizations
        module.__class__ = type(module).__bases__[0]
    for name, value in values.items():
        # new memory: a parametrization may return a view in any layout, which safetensors refuses
        tensor = value.detach().clone(memory_format=torch.contiguous_format)
        module.register_parameter(name, nn.Parameter(tensor, trainable[name]))


def _plain_sequential(module: Sequential) -> nn.Sequential:
    layers = list(module._modules.items())  # not named_children, which leaves out the second use of a layer
    if module.lipschitz != 1.0:
        name, last = layers[-1] if layers else ("", None)
        if last is not None and type(last) in _WEIGHTED:
            last = copy.deepcopy(last)  # the same layer may be used elsewhere, unscaled
            for parameter in last.parameters():
                parameter.mul_(module.lipschitz)
            layers[-1] = (name, last)
        else:
            layers.append((str(len(layers)), Scale(module.lipschitz).fold()))
    plain = nn.Sequential()
    for name, layer in layers:
        plain.add_module(name, layer)
    return plain
