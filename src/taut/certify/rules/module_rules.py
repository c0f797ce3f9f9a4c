"""Constants of single modules: which rule proves the Lipschitz constant of a leaf of the network, if any does."""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn.modules import module as torch_module

from taut.certify.breakdown import Norm
from taut.certify.norms.convolution import linf_conv_bound, prove_conv_norm
from taut.certify.norms.spectral import ROW_SUMS, Proof, linf_norm_bound, prove_spectral_norm
from taut.certify.norms.stencil import geometry, is_plain_convolution
from taut.certify.rules.activation_rules import activation_proof, learned_activation
from taut.certify.rules.block_rules import block_proof, is_block
from taut.certify.rules.constant_rules import module_constant
from taut.certify.rules.exponential_rules import exponential_proof, is_exponential
from taut.certify.rules.fourier_rules import fourier_proof, is_fourier
from taut.certify.rules.normalisation_rules import BATCH_NORMS, is_normalisation, normalisation_proof
from taut.nn import Sequential, constant

_HOW = "give it a method `lipschitz_constant(self, norm: str) -> float`"


@dataclass(frozen=True, kw_only=True)
class Leaf:
    """A module with a rule: its name, its type, the weight's proof or the constant's."""

    name: str
    kind: str
    proof: Proof
    module: nn.Module
    seconds: float = 0.0
    """Time that the proof took; none where it was known from an earlier use."""


def is_plain_linear(module: nn.Module) -> bool:
    """x -> W x + b and nothing else: nn.Linear or a subclass that leaves `forward` alone."""
    return isinstance(module, nn.Linear) and type(module).forward is nn.Linear.forward


def is_scaled_sequential(module: nn.Module) -> bool:
    """taut.nn.Sequential, whose factor multiplies the chain of its layers."""
    return isinstance(module, Sequential) and type(module).forward is Sequential.forward


def kind_of(module: nn.Module) -> str:
    """The type's name, without the prefix that torch's parametrizations add."""
    return type(module).__name__.removeprefix("Parametrized")


def has_hooks(module: nn.Module) -> bool:
    """Whether something besides the class's `forward` runs on a call; pruning and the older weight norms work that
    way, and so does a `forward` that was put on the object, or a class that is called in its own way."""
    everywhere = torch_module._global_forward_hooks or torch_module._global_forward_pre_hooks
    own = {"forward", "_conv_forward"} & vars(module).keys()
    called = any(getattr(type(module), name) is not getattr(nn.Module, name) for name in ("__call__", "_call_impl"))
    called &= not isinstance(module, fx.GraphModule)  # torch gives each of them a call of its own
    return bool(module._forward_hooks or module._forward_pre_hooks or everywhere or own or called)


def has_rule(module: nn.Module, norm: Norm) -> bool:
    """Whether `leaf` will find a rule; cheap."""
    if learned_activation(module) is not None:
        return True
    if is_plain_linear(module) or is_plain_convolution(module):
        return True
    if norm == "l2" and (is_block(module) or is_exponential(module) or is_fourier(module)):
        return True
    return constant(module, norm) is not None


def refuse_training_mode(model: nn.Module, norm: Norm) -> None:
    """TypeError that names the first layer that has a constant in evaluation mode alone, and is not in it."""
    for name, module in model.named_modules():
        ours = type(module).__module__.startswith("taut.nn.normalisation.") and constant(module, norm) is None
        if module.training and (ours or type(module) in BATCH_NORMS):
            where = f"module {name or '(model)'!r} ({kind_of(module)}) in training mode has no Lipschitz rule"
            raise TypeError(f"{where}: it uses the statistics of the batch; call .eval()")


def leaf(module: nn.Module, name: str, norm: Norm, input_shape: tuple[int, ...] | None = None) -> Leaf:
    """The module's constant, proven. TypeError, naming the module and its type, where there is no rule.

    `input_shape` is that of the module's own input with the batch, where it is known.
    """
    kind = kind_of(module)
    if has_hooks(module):
        raise TypeError(
            f"module {name!r} ({kind}) has forward hooks or a forward of its own object, whose effect has no "
            "Lipschitz rule: remove them"
        )
    if not hasattr(module, "lipschitz_constant"):
        if is_plain_linear(module):
            return Leaf(name=name, kind=kind, proof=linear_proof(module, name, norm), module=module)
        if is_plain_convolution(module):
            return Leaf(name=name, kind=kind, proof=conv_proof(module, name, norm, input_shape), module=module)
    if norm == "l2" and is_block(module):
        return Leaf(name=name, kind=kind, proof=_block(module, name, input_shape), module=module)
    if norm == "l2" and is_exponential(module):
        return Leaf(name=name, kind=kind, proof=_exponential(module, name, input_shape), module=module)
    if norm == "l2" and is_fourier(module):
        return Leaf(name=name, kind=kind, proof=_fourier(module, name), module=module)
    if is_normalisation(module):
        return Leaf(name=name, kind=kind, proof=_normalisation(module, name, norm), module=module)
    activation = _activation(module, name, norm)
    if activation is not None:
        return Leaf(name=name, kind=kind, proof=activation, module=module)
    value = module_constant(module, norm, input_shape)
    if value is None:
        mode = " in training mode" if isinstance(module, nn.modules.dropout._DropoutNd) and module.training else ""
        raise TypeError(f"module {name!r} ({kind}){mode} has no Lipschitz rule in {norm}: {_HOW}")
    if math.isnan(value) or value < 0.0:
        raise ValueError(f"module {name!r} ({kind}) gives the Lipschitz constant {value}; it must be >= 0")
    if value > 1.0 and getattr(module, "inplace", False):
        raise TypeError(f"module {name!r} ({kind}) stretches its input in place: use inplace=False")
    return Leaf(name=name, kind=kind, proof=Proof(bound=value, method="by construction"), module=module)


def _activation(module: nn.Module, name: str, norm: Norm) -> Proof | None:
    try:
        return activation_proof(module, norm)
    except (ValueError, TypeError) as error:
        raise type(error)(f"parameters of module {name!r} ({kind_of(module)}): {error}") from error


def _block(module: nn.Module, name: str, input_shape: tuple[int, ...] | None) -> Proof:
    try:
        return block_proof(module, image_size=None if input_shape is None else tuple(input_shape[2:]))
    except (ValueError, TypeError) as error:
        raise type(error)(f"weight of module {name!r} ({kind_of(module)}): {error}") from error


def _exponential(module: nn.Module, name: str, input_shape: tuple[int, ...] | None) -> Proof:
    try:
        return exponential_proof(module, image_size=None if input_shape is None else tuple(input_shape[2:]))
    except (ValueError, TypeError) as error:
        raise type(error)(f"weight of module {name!r} ({kind_of(module)}): {error}") from error


def _fourier(module: nn.Module, name: str) -> Proof:
    try:
        return fourier_proof(module)
    except (ValueError, TypeError) as error:
        raise type(error)(f"weight of module {name!r} ({kind_of(module)}): {error}") from error


def _normalisation(module: nn.Module, name: str, norm: Norm) -> Proof:
    try:
        return normalisation_proof(module, norm)
    except ValueError as error:
        mode = " in training mode" if module.training else ""
        raise TypeError(f"module {name!r} ({kind_of(module)}){mode} has no Lipschitz rule: {error}") from error


def linear_proof(module: nn.Module, name: str, norm: Norm) -> Proof:
    """Norm of the weight as it is now, parametrized or not. ValueError, naming the module, for NaN or infinity."""
    with torch.no_grad():
        weight: Any = module.weight
    _refuse_unusable_bias(module, name)
    try:
        if norm == "l2":
            return prove_spectral_norm(weight)
        return Proof(bound=linf_norm_bound(weight), method=ROW_SUMS)
    except (ValueError, TypeError) as error:
        raise type(error)(f"weight of module {name!r} ({kind_of(module)}): {error}") from error


def _refuse_unusable_bias(module: nn.Module, name: str) -> None:
    """No constant depends on a bias, but where it is NaN or infinite the output is no number."""
    bias = getattr(module, "bias", None)
    if isinstance(bias, Tensor) and not bool(bias.isfinite().all()):
        raise ValueError(f"bias of module {name!r} ({kind_of(module)}): bounds need finite values, got NaN or infinity")


def conv_proof(module: nn.Module, name: str, norm: Norm, input_shape: tuple[int, ...] | None = None) -> Proof:
    """Norm of a convolution with its weight as it is now; a known image size can make it smaller with circular padding
    or others than zeros. ValueError, naming the module, for NaN or infinity."""
    with torch.no_grad():
        weight: Any = module.weight
    _refuse_unusable_bias(module, name)
    shape = geometry(module)
    image = None if input_shape is None else tuple(input_shape[-len(shape.stride) :])
    try:
        return prove_conv_norm(weight, shape, image_size=image) if norm == "l2" else linf_conv_bound(weight, shape)
    except (ValueError, TypeError) as error:
        raise type(error)(f"weight of module {name!r} ({kind_of(module)}): {error}") from error
