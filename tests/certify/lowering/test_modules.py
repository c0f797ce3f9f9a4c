"""Every layer of taut and every module of torch with a constant: lowered to what it computes, or refused by name."""

import re
from collections.abc import Callable

import pytest
import torch
from torch import nn

import taut
from taut import nn as tnn
from taut.certify import lower
from taut.certify.rules.constant_rules import _SLOPES
from taut.certify.rules.normalisation_rules import BATCH_NORMS, INSTANCE_NORMS
from taut.nn._window_constants import _RULES

ROOM = 1e-12
"""Relative distance of two float64 evaluations."""
VECTOR, SIGNAL, IMAGE, VOLUME = (6,), (4, 6), (4, 6, 6), (4, 3, 4, 3)

Build = Callable[[], nn.Module]
Table = dict[str, tuple[Build, tuple[int, ...]]]


def branch() -> nn.Module:
    return tnn.AOLConv2d(4, 4, 3)


LINEARS: Table = {
    f"{cls.__name__} {more}": (lambda cls=cls, out=out: cls(6, out), shape)
    for cls in tnn.linears().values()
    for more, out, shape in (("narrower", 4, VECTOR), ("wider, sequence", 8, (3, 6)))
}
CONVOLUTIONS: Table = {
    f"{cls.__name__} {out}": (
        lambda cls=cls, out=out: cls(4, out, 3),
        SIGNAL if "1d" in cls.__name__ else VOLUME if "3d" in cls.__name__ else IMAGE,
    )
    for cls in tnn.convolutions().values()
    for out in ((4,) if cls.__name__ == "OSSNConv2d" else (3, 4, 6))
}
ACTIVATIONS: Table = {
    "Abs": (tnn.Abs, IMAGE),
    "ConcatReLU": (tnn.ConcatReLU, IMAGE),
    "ConcatReLU last": (lambda: tnn.ConcatReLU(dim=-1), SIGNAL),
    "FullSort": (tnn.FullSort, VECTOR),
    "FullSort last": (lambda: tnn.FullSort(dim=-1), IMAGE),
    "GroupSort": (lambda: tnn.GroupSort(2), IMAGE),
    "GroupSort last": (lambda: tnn.GroupSort(3, dim=-1), IMAGE),
    "HouseholderActivation": (lambda: tnn.HouseholderActivation(4), IMAGE),
    "LinearSpline": (lambda: tnn.LinearSpline(4, knots=7, init="relu"), IMAGE),
    "LipschitzPReLU": (lambda: tnn.LipschitzPReLU(6), VECTOR),
    "MaxMin": (tnn.MaxMin, IMAGE),
    "MaxMin last": (lambda: tnn.MaxMin(dim=-1), SIGNAL),
    "MaxOut": (lambda: tnn.MaxOut(2), IMAGE),
    "NActivation": (lambda: tnn.NActivation(4, init="random"), IMAGE),
    **{f"Smooth {kind}": (lambda kind=kind: tnn.Smooth(kind), IMAGE) for kind in ("gelu", "silu", "sigmoid")},
}
MAPS: Table = {
    "ActNorm": (lambda: tnn.ActNorm(4), IMAGE),
    "Average": (lambda: tnn.Average(branch(), nn.ReLU()), IMAGE),
    "BatchCentering": (lambda: tnn.BatchCentering(4), IMAGE),
    "BatchLipNorm": (lambda: tnn.BatchLipNorm(4), IMAGE),
    "ChannelPad": (lambda: tnn.ChannelPad(4, 6), IMAGE),
    "ChannelPad clone": (lambda: tnn.ChannelPad(4, 8, mode="clone"), IMAGE),
    **{
        f"ChannelPool {mode}": (lambda mode=mode: tnn.ChannelPool(4, 2, mode=mode), IMAGE)
        for mode in ("truncate", "mean", "max")
    },
    "Concatenation": (lambda: tnn.Concatenation(nn.ReLU(), tnn.Abs()), IMAGE),
    "ConvexResidual": (lambda: tnn.ConvexResidual(branch(), share=0.3), IMAGE),
    "GlobalAvgPool": (tnn.GlobalAvgPool, IMAGE),
    "GlobalL2NormPool": (tnn.GlobalL2NormPool, IMAGE),
    "GlobalMaxPool": (tnn.GlobalMaxPool, IMAGE),
    "InvertibleDownsampling": (lambda: tnn.InvertibleDownsampling(2), IMAGE),
    "InvertibleUpsampling": (lambda: tnn.InvertibleUpsampling(2), IMAGE),
    "InvertibleResidual": (lambda: tnn.InvertibleResidual(branch()), IMAGE),
    "L2NormPool2d": (lambda: tnn.L2NormPool2d(3, stride=2), IMAGE),
    "L2NormPool2d padded": (lambda: tnn.L2NormPool2d(2, padding=1), IMAGE),
    "LayerCentering": (tnn.LayerCentering, IMAGE),
    "LayerCentering last": (lambda: tnn.LayerCentering(dim=-1), SIGNAL),
    "LipNeXtBlock": (lambda: tnn.LipNeXtBlock(4), IMAGE),
    "LiResNetConv2d": (lambda: tnn.LiResNetConv2d(4), IMAGE),
    "MaxPool1d": (lambda: tnn.MaxPool1d(3, stride=2), SIGNAL),
    "MaxPool2d": (lambda: tnn.MaxPool2d(3, stride=2, padding=1), IMAGE),
    "Parallel": (lambda: tnn.Parallel(tnn.Abs(), nn.ReLU(), channels=(1, 3)), IMAGE),
    "Residual": (lambda: tnn.Residual(branch()), IMAGE),
    "ScaledResidual": (lambda: tnn.ScaledResidual(branch(), scale=0.5), IMAGE),
    "Scale": (lambda: tnn.Scale(-0.3), IMAGE),
    "ScaledAvgPool1d": (lambda: tnn.ScaledAvgPool1d(3, stride=2, padding=1), SIGNAL),
    "ScaledAvgPool2d": (lambda: tnn.ScaledAvgPool2d(2), IMAGE),
    "Sequential": (lambda: tnn.Sequential(branch(), tnn.MaxMin()), IMAGE),
}
TORCH: Table = {
    "Linear": (lambda: nn.Linear(6, 3), (2, 6)),
    "Conv2d": (lambda: nn.Conv2d(4, 6, 3, stride=2, padding=1, groups=2, padding_mode="reflect"), IMAGE),
    "Conv1d": (lambda: nn.Conv1d(4, 2, 3, dilation=2, padding="same", padding_mode="replicate"), SIGNAL),
    "Conv3d": (lambda: nn.Conv3d(4, 1, 2, padding=1, padding_mode="circular"), VOLUME),
    "ConvTranspose2d": (lambda: nn.ConvTranspose2d(4, 2, 3, stride=2, padding=1, output_padding=1), IMAGE),
    "BatchNorm1d": (lambda: nn.BatchNorm1d(6), VECTOR),
    "BatchNorm2d": (lambda: nn.BatchNorm2d(4, affine=False), IMAGE),
    "BatchNorm3d": (lambda: nn.BatchNorm3d(4), VOLUME),
    "SyncBatchNorm": (lambda: nn.SyncBatchNorm(4), IMAGE),
    "InstanceNorm1d": (lambda: nn.InstanceNorm1d(4, track_running_stats=True, affine=True), SIGNAL),
    "InstanceNorm2d": (lambda: nn.InstanceNorm2d(4, track_running_stats=True), IMAGE),
    "InstanceNorm3d": (lambda: nn.InstanceNorm3d(4, track_running_stats=True), VOLUME),
    "Identity": (nn.Identity, IMAGE),
    "Dropout": (nn.Dropout, IMAGE),
    "Dropout2d": (nn.Dropout2d, IMAGE),
    "Flatten": (lambda: nn.Flatten(2), IMAGE),
    "Unflatten": (lambda: nn.Unflatten(1, (2, -1)), IMAGE),
    "PReLU": (nn.PReLU, IMAGE),
    "PReLU each": (lambda: nn.PReLU(4), IMAGE),
    "ReLU": (nn.ReLU, IMAGE),
    "ReLU6": (nn.ReLU6, IMAGE),
    "LeakyReLU": (lambda: nn.LeakyReLU(-2.0), IMAGE),
    "ELU": (lambda: nn.ELU(0.5), IMAGE),
    "CELU": (lambda: nn.CELU(3.0), IMAGE),
    "CELU 1": (nn.CELU, IMAGE),
    "SELU": (nn.SELU, IMAGE),
    "GELU": (nn.GELU, IMAGE),
    "SiLU": (nn.SiLU, IMAGE),
    "Tanh": (nn.Tanh, IMAGE),
    "Sigmoid": (nn.Sigmoid, IMAGE),
    "Hardtanh": (lambda: nn.Hardtanh(-2.0, 0.5), IMAGE),
    "Hardsigmoid": (nn.Hardsigmoid, IMAGE),
    "PixelShuffle": (lambda: nn.PixelShuffle(2), IMAGE),
    "PixelUnshuffle": (lambda: nn.PixelUnshuffle(3), IMAGE),
    "ChannelShuffle": (lambda: nn.ChannelShuffle(2), IMAGE),
    "Unfold": (lambda: nn.Unfold(3, dilation=2, padding=1, stride=2), IMAGE),
    "Upsample": (lambda: nn.Upsample(scale_factor=(2, 3)), IMAGE),
    "Upsample to a size": (lambda: nn.Upsample(size=(4, 9)), IMAGE),
    "Upsample exact": (lambda: nn.Upsample(size=7, mode="nearest-exact"), SIGNAL),
    "UpsamplingNearest2d": (lambda: nn.UpsamplingNearest2d(scale_factor=2), IMAGE),
}
for _rank, _shape in ((1, SIGNAL), (2, IMAGE), (3, VOLUME)):
    for _kind, _options in (
        ("MaxPool", {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True}),
        ("AvgPool", {"kernel_size": 3, "stride": 2, "padding": 1}),
        ("AdaptiveAvgPool", {"output_size": 1}),
        ("AdaptiveMaxPool", {"output_size": (3, 2, 1)[:_rank]}),
        ("LPPool", {"norm_type": 2, "kernel_size": 2, "stride": 1}),
        ("ZeroPad", {"padding": (1, 2, 0, 1, 2, 0)[: 2 * _rank]}),
        ("ConstantPad", {"padding": (1, -2, 0, 1, -1, 0)[: 2 * _rank], "value": 0.0}),
        ("CircularPad", {"padding": (1, 2, 0, 1, 2, 0)[: 2 * _rank]}),
        ("ReflectionPad", {"padding": (1, 2, 0, 1, 2, 0)[: 2 * _rank]}),
        ("ReplicationPad", {"padding": (1, 2, 0, 1, 2, 0)[: 2 * _rank]}),
    ):
        _class = getattr(nn, f"{_kind}{_rank}d")
        TORCH[_class.__name__] = lambda cls=_class, options=_options: cls(**options), _shape
TORCH["AvgPool2d ceil"] = lambda: nn.AvgPool2d(2, ceil_mode=True, count_include_pad=False), IMAGE
TORCH["AvgPool2d divisor"] = lambda: nn.AvgPool2d(2, divisor_override=-3), IMAGE

REFUSED: dict[str, tuple[Build, tuple[int, ...], str]] = {
    "L2Attention": (lambda: tnn.L2SelfAttention(4, 2, length=5), (5, 4), "divides by what depends on the input"),
    "SmoothMaxMin": (tnn.SmoothMaxMin, IMAGE, "divides by what depends on the input"),
    "Smooth": (lambda: tnn.Smooth("mish"), IMAGE, "cannot be certified"),  # no operation for mish and softplus
    "HouseholderActivation": (lambda: tnn.HouseholderActivation(4, order=2), IMAGE, "cannot be certified"),
    # normalisation by the sample itself: its rounding grows as the deviation falls
    "LayerNorm": (lambda: nn.LayerNorm(6), IMAGE, "cannot be certified"),
    "GroupNorm": (lambda: nn.GroupNorm(2, 4), IMAGE, "cannot be certified"),
    "RMSNorm": (lambda: nn.RMSNorm(6, eps=1e-3), IMAGE, "cannot be certified"),
    "InstanceNorm2d": (lambda: nn.InstanceNorm2d(4), IMAGE, "statistics of the sample"),
    # functions without an operation in the file
    "GELU": (lambda: nn.GELU(approximate="tanh"), IMAGE, "use the exact GELU"),
    "Mish": (nn.Mish, IMAGE, "cannot be certified"),
    "Softplus": (nn.Softplus, IMAGE, "cannot be certified"),
    "Softsign": (nn.Softsign, IMAGE, "cannot be certified"),
    "Softshrink": (nn.Softshrink, IMAGE, "cannot be certified"),
    "LogSigmoid": (nn.LogSigmoid, IMAGE, "cannot be certified"),
    "Hardswish": (nn.Hardswish, IMAGE, "cannot be certified"),
    "Tanhshrink": (nn.Tanhshrink, IMAGE, "cannot be certified"),
    "Softmax": (lambda: nn.Softmax(1), IMAGE, "cannot be certified"),
    "CELU": (lambda: nn.CELU(-1.0), IMAGE, "give a positive one"),
    # windows that are no sums of one size
    "AvgPool2d": (lambda: nn.AvgPool2d(3, 2, 1, count_include_pad=False), IMAGE, "weigh windows differently"),
    "AvgPool1d": (lambda: nn.AvgPool1d(4, ceil_mode=True), SIGNAL, "weigh windows differently"),
    "AdaptiveAvgPool2d": (lambda: nn.AdaptiveAvgPool2d(4), IMAGE, "does not divide"),
    "MaxPool2d": (lambda: nn.MaxPool2d(2, return_indices=True), IMAGE, "indices jump"),
    "AdaptiveMaxPool2d": (lambda: nn.AdaptiveMaxPool2d(2, return_indices=True), IMAGE, "indices jump"),
    "LPPool2d": (lambda: nn.LPPool2d(3, 2), IMAGE, "norm_type=3"),
    "ConstantPad2d": (lambda: nn.ConstantPad2d(1, 1.0), IMAGE, "only zeros can be padded"),
    "Upsample": (lambda: nn.Upsample(scale_factor=2, mode="bilinear"), IMAGE, "only nearest neighbours"),
    "UpsamplingBilinear2d": (lambda: nn.UpsamplingBilinear2d(scale_factor=2), IMAGE, "cannot be certified"),
    # along the batch
    "MaxMin": (lambda: tnn.MaxMin(dim=0), IMAGE, "works along axis 0"),
    "FullSort": (lambda: tnn.FullSort(dim=-4), IMAGE, "works along axis -4"),
    "Flatten": (lambda: nn.Flatten(0), IMAGE, "works along axis 0"),
    "Dropout": (lambda: nn.Dropout().train(), IMAGE, "call .eval()"),
}
LOWERED: Table = {
    name: row for table in (LINEARS, CONVOLUTIONS, ACTIVATIONS, MAPS, TORCH) for name, row in table.items()
}


def ready(build: Build) -> nn.Module:
    """In evaluation mode, with statistics and parameters that are not those of a new layer."""
    torch.manual_seed(0)
    module = build()
    for name, value in module.named_buffers():
        if name.endswith("running_mean"):
            value.normal_()
        if name.endswith("running_var"):
            value.uniform_(0.5, 2.0)
    return module


@pytest.mark.parametrize("name", LOWERED)
def test_the_program_computes_what_the_module_does(name: str) -> None:
    build, shape = LOWERED[name]
    module = ready(build).eval()
    program = lower(module, shape)
    x = torch.randn(3, *shape, dtype=torch.float64)
    with torch.no_grad():
        wanted = taut.fold(module).double()(x)
    computed = program(x)
    assert computed.shape == wanted.shape == (3, *program.shape(len(program.nodes)))
    assert float((computed - wanted).abs().max()) <= ROOM * max(1.0, float(wanted.abs().max()))


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_program_is_refused_by_name(name: str) -> None:
    build, shape, reason = REFUSED[name]
    module = ready(build)
    if "Dropout" not in name:
        module.eval()
    with pytest.raises(TypeError, match=rf"module '1\S*' \({name}\).*{re.escape(reason)}") as caught:
        lower(nn.Sequential(nn.Identity(), module), shape)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("module", "shape"),
    [
        (nn.Conv2d(1, 1, 3), (6, 6)),
        (nn.ConvTranspose1d(1, 1, 3), (6,)),
        (nn.MaxPool1d(2), (6,)),
        (nn.AvgPool2d(2), (6, 6)),
        (nn.AdaptiveAvgPool2d(1), (6, 6)),
        (nn.LPPool1d(2, 2), (6,)),
        (nn.ReflectionPad2d(1), (6, 6)),
        (nn.Upsample(scale_factor=2), (6,)),
        (nn.BatchNorm1d(1), (6,)),
        (nn.BatchNorm1d(4), ()),
        (nn.PixelShuffle(2), (5, 2, 2)),
        (nn.PixelUnshuffle(2), (6, 6)),
        (nn.ChannelShuffle(4), (6, 2, 2)),
        (nn.MaxPool2d(9), (1, 4, 4)),
        (nn.Linear(3, 2), (3, 4)),
        (nn.PReLU(3), (4,)),
        (nn.ConstantPad3d(1, 0.0), (4, 4)),
    ],
    ids=str,
)
def test_samples_of_other_shapes_are_refused_by_name(module: nn.Module, shape: tuple[int, ...]) -> None:
    """Also where torch would take a batch for the channels of one image."""
    with pytest.raises((ValueError, TypeError), match=rf"module '0' \({type(module).__name__}\): it ") as caught:
        lower(nn.Sequential(module).eval(), shape)
    assert "\n" not in str(caught.value)


def test_every_layer_of_taut_is_in_the_tables() -> None:
    names = {name.split()[0] for name in (*LOWERED, *REFUSED)}
    catalogues = (tnn.linears(), tnn.convolutions(), tnn.activations(), tnn.maps())
    exported = {cls.__name__ for catalogue in catalogues for cls in catalogue.values()}
    assert exported - names == {"L2SelfAttention"}  # which is refused for the attention in it


def test_every_module_of_torch_with_a_constant_is_in_the_tables() -> None:
    names = {name.split()[0] for name in (*TORCH, *REFUSED)}
    ruled = {cls.__name__ for cls in (*_RULES, *_SLOPES, *BATCH_NORMS, *INSTANCE_NORMS)}
    assert ruled <= names
