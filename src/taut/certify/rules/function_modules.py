"""Functions that are one of torch's modules under another name: `F.max_pool2d(x, 2)` is `nn.MaxPool2d(2)(x)`."""

import inspect
from typing import Any

from torch import fx, nn
from torch.nn import functional as F

_POOL = ("kernel_size", "stride", "padding")
_MAX = (*_POOL, "dilation", "ceil_mode", "return_indices")
_AVERAGE = (*_POOL, "ceil_mode", "count_include_pad", "divisor_override")
_LP = ("norm_type", "kernel_size", "stride", "ceil_mode")
_DROP = ("p", "training", "inplace")

_MODULES: dict[Any, tuple[type[nn.Module], tuple[str, ...]]] = {
    F.max_pool1d: (nn.MaxPool1d, _MAX),
    F.max_pool2d: (nn.MaxPool2d, _MAX),
    F.max_pool3d: (nn.MaxPool3d, _MAX),
    F.avg_pool1d: (nn.AvgPool1d, _AVERAGE),
    F.avg_pool2d: (nn.AvgPool2d, _AVERAGE),
    F.avg_pool3d: (nn.AvgPool3d, _AVERAGE),
    F.lp_pool1d: (nn.LPPool1d, _LP),
    F.lp_pool2d: (nn.LPPool2d, _LP),
    F.lp_pool3d: (nn.LPPool3d, _LP),
    F.adaptive_avg_pool1d: (nn.AdaptiveAvgPool1d, ("output_size",)),
    F.adaptive_avg_pool2d: (nn.AdaptiveAvgPool2d, ("output_size",)),
    F.adaptive_avg_pool3d: (nn.AdaptiveAvgPool3d, ("output_size",)),
    F.adaptive_max_pool1d: (nn.AdaptiveMaxPool1d, ("output_size", "return_indices")),
    F.adaptive_max_pool2d: (nn.AdaptiveMaxPool2d, ("output_size", "return_indices")),
    F.adaptive_max_pool3d: (nn.AdaptiveMaxPool3d, ("output_size", "return_indices")),
    F.interpolate: (nn.Upsample, ("size", "scale_factor", "mode", "align_corners", "recompute_scale_factor")),
    F.unfold: (nn.Unfold, ("kernel_size", "dilation", "padding", "stride")),
    F.pixel_shuffle: (nn.PixelShuffle, ("upscale_factor",)),
    F.pixel_unshuffle: (nn.PixelUnshuffle, ("downscale_factor",)),
    F.leaky_relu: (nn.LeakyReLU, ("negative_slope", "inplace")),
    F.elu: (nn.ELU, ("alpha", "inplace")),
    F.celu: (nn.CELU, ("alpha", "inplace")),
    F.gelu: (nn.GELU, ("approximate",)),
    F.silu: (nn.SiLU, ("inplace",)),
    F.mish: (nn.Mish, ("inplace",)),
    F.hardswish: (nn.Hardswish, ("inplace",)),
    F.hardsigmoid: (nn.Hardsigmoid, ("inplace",)),
    F.selu: (nn.SELU, ("inplace",)),
    F.tanhshrink: (nn.Tanhshrink, ()),
    F.softsign: (nn.Softsign, ()),
    F.softshrink: (nn.Softshrink, ("lambd",)),
    F.dropout: (nn.Dropout, _DROP),
    F.dropout1d: (nn.Dropout1d, _DROP),
    F.dropout2d: (nn.Dropout2d, _DROP),
    F.dropout3d: (nn.Dropout3d, _DROP),
}
_PADS: dict[str, tuple[type[nn.Module], ...]] = {
    "circular": (nn.CircularPad1d, nn.CircularPad2d, nn.CircularPad3d),
    "reflect": (nn.ReflectionPad1d, nn.ReflectionPad2d, nn.ReflectionPad3d),
    "replicate": (nn.ReplicationPad1d, nn.ReplicationPad2d, nn.ReplicationPad3d),
}


def as_module(node: fx.Node) -> nn.Module | None:
    """The module that a call of a function, with the options it was called with, is; None where it is none."""
    computed: list[fx.Node] = []  # options that are not numbers, also inside tuples
    fx.map_arg((node.args[1:], node.kwargs), computed.append)
    target: Any = node.target
    if target is F.pad:
        return _padding(node)
    if node.op != "call_function" or computed:
        return None
    if target not in _MODULES:
        return None
    cls, names = _MODULES[target]
    options: dict[str, Any] = {**dict(zip(names, node.args[1:], strict=False)), **node.kwargs}
    training = options.pop("training", True) if names is _DROP else None
    accepted = inspect.signature(cls).parameters
    if any(name not in accepted and value for name, value in options.items()):
        return None
    options = {name: value for name, value in options.items() if name in accepted and value is not None}
    try:
        module = cls(**options)
    except (TypeError, ValueError):  # an incomplete call, which the model itself would refuse
        return None
    return module if training is None else module.train(bool(training))


def _padding(node: fx.Node) -> nn.Module | None:
    names = ("pad", "mode", "value")
    options: dict[str, Any] = {**dict(zip(names, node.args[1:], strict=False)), **node.kwargs}
    sides, mode = options["pad"], options.get("mode", "constant")
    if mode == "constant":
        return nn.ZeroPad1d(0)  # whatever is put around it, or cut off; no identity, as the shape is another
    if not isinstance(sides, tuple | list) or any(not isinstance(side, int) for side in sides):
        return None
    rank = len(sides) // 2
    return _PADS[mode][rank - 1](tuple(sides)) if mode in _PADS and rank <= 3 else None
