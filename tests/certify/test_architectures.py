"""Networks as they are usually written: a finite bound above every derivative, with its proof, in seconds; or a refusal
that says why."""

import math
import time
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from plain_resnet import ResNet
from taut.certify import breakdown, lipschitz_bound

ROUNDING = 1e-12
SECONDS = 20.0
"""Most that a small network may take, tests of other processes beside it; a quiet processor needs some 2."""


def lenet(activation: type[nn.Module], pool: type[nn.Module]) -> nn.Module:
    """LeCun et al. (1998), with tanh and averages or with ReLU and maxima."""
    return nn.Sequential(
        *(nn.Conv2d(1, 6, 5, padding=2), activation(), pool(2)),
        *(nn.Conv2d(6, 16, 5), activation(), pool(2)),
        nn.Flatten(),
        *(nn.Linear(400, 120), activation(), nn.Linear(120, 84), activation(), nn.Linear(84, 10)),
    )


def vgg(widths: tuple[int, ...] = (8, 16, 16)) -> nn.Module:
    layers: list[nn.Module] = []
    for inputs, outputs in zip((3, *widths), widths, strict=False):
        layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]
        layers += [nn.MaxPool2d(2)]
    return nn.Sequential(
        *layers, nn.AdaptiveAvgPool2d((2, 2)), nn.Flatten(), nn.Linear(4 * widths[-1], 32), nn.ReLU(), nn.Dropout(),
        nn.Linear(32, 10),
    )  # fmt: skip


class Double(nn.Sequential):
    """Two convolutions with batch norm, as in every U-Net."""

    def __init__(self, inputs: int, outputs: int) -> None:
        layers: list[nn.Module] = []
        for channels in (inputs, outputs):
            layers += [nn.Conv2d(channels, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs)]
            layers += [nn.ReLU(inplace=True)]
        super().__init__(*layers)


class UNet(nn.Module):
    """Skips are concatenated after upsampling, by a transposed convolution or bilinearly, padded to fit odd sizes."""

    def __init__(self, *, width: int = 4, bilinear: bool = False) -> None:
        super().__init__()
        self.start, self.down1, self.down2 = Double(1, width), Double(width, 2 * width), Double(2 * width, 4 * width)
        self.pool = nn.MaxPool2d(2)
        self.up1, self.up2 = self._up(4 * width, bilinear), self._up(2 * width, bilinear)
        self.left1, self.left2 = Double(4 * width, 2 * width), Double(2 * width, width)
        self.head = nn.Conv2d(width, 2, 1)

    def _up(self, channels: int, bilinear: bool) -> nn.Module:
        if bilinear:
            up = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)
            return nn.Sequential(up, nn.Conv2d(channels, channels // 2, 1))
        return nn.ConvTranspose2d(channels, channels // 2, 2, stride=2)

    @staticmethod
    def _joined(up: Tensor, skip: Tensor) -> Tensor:
        rows, columns = skip.size(2) - up.size(2), skip.size(3) - up.size(3)
        up = F.pad(up, [columns // 2, columns - columns // 2, rows // 2, rows - rows // 2])
        return torch.cat([skip, up], dim=1)

    def forward(self, x: Tensor) -> Tensor:
        first = self.start(x)
        second = self.down1(self.pool(first))
        third = self.down2(self.pool(second))
        x = self.left1(self._joined(self.up1(third), second))
        return self.head(self.left2(self._joined(self.up2(x), first)))


class DenseBlock(nn.Module):
    """Huang et al. (2017): each layer reads all before it."""

    def __init__(self, channels: int, growth: int, layers: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.BatchNorm2d(channels + k * growth) for k in range(layers))
        self.convs = nn.ModuleList(
            nn.Conv2d(channels + k * growth, growth, 3, padding=1, bias=False) for k in range(layers)
        )

    def forward(self, x: Tensor) -> Tensor:
        features = [x]
        for norm, conv in zip(self.norms, self.convs, strict=True):
            features.append(conv(F.relu(norm(torch.cat(features, 1)))))
        return torch.cat(features, 1)


def densenet() -> nn.Module:
    transition = nn.Sequential(nn.BatchNorm2d(15), nn.ReLU(), nn.Conv2d(15, 8, 1), nn.AvgPool2d(2))
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(17, 10))
    return nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), DenseBlock(6, 3, 3), transition, DenseBlock(8, 3, 3), head)


class InvertedResidual(nn.Module):
    """Sandler et al. (2018): 1x1 up, depthwise 3x3, 1x1 down, and a shortcut where the shape stays."""

    def __init__(self, inputs: int, outputs: int, *, stride: int, activation: type[nn.Module]) -> None:
        super().__init__()
        inner = 3 * inputs
        self.shortcut = stride == 1 and inputs == outputs
        self.body = nn.Sequential(
            *(nn.Conv2d(inputs, inner, 1, bias=False), nn.BatchNorm2d(inner), activation()),
            nn.Conv2d(inner, inner, 3, stride=stride, padding=1, groups=inner, bias=False),
            *(nn.BatchNorm2d(inner), activation()),
            *(nn.Conv2d(inner, outputs, 1, bias=False), nn.BatchNorm2d(outputs)),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x) if self.shortcut else self.body(x)


class MobileNet(nn.Module):
    def __init__(self, activation: type[nn.Module]) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, stride=2, padding=1)
        self.blocks = nn.Sequential(
            InvertedResidual(4, 4, stride=1, activation=activation),
            InvertedResidual(4, 8, stride=2, activation=activation),
        )
        self.head = nn.Linear(8, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.blocks(self.stem(x)).mean([2, 3]))


class ConvNeXtBlock(nn.Module):
    """Liu et al. (2022): depthwise 7x7, layer norm over channels, an MLP, and a scale for each channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, 7, padding=3, groups=channels)
        self.norm = nn.LayerNorm(channels, eps=1e-6)
        self.mlp = nn.Sequential(nn.Linear(channels, 4 * channels), nn.GELU(), nn.Linear(4 * channels, channels))
        self.scale = nn.Parameter(torch.full((channels,), 1e-6))

    def forward(self, x: Tensor) -> Tensor:
        y = self.scale * self.mlp(self.norm(self.depthwise(x).permute(0, 2, 3, 1)))
        return x + y.permute(0, 3, 1, 2)


class ViT(nn.Module):
    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, width, 4, stride=4)
        self.encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(width, 2, batch_first=True), 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.encoder(self.patches(x).flatten(2).transpose(1, 2)).mean(1)


class SqueezeExcite(nn.Module):
    """Hu et al. (2018): the input times a gate that is made of it."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gate = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(channels, channels, 1), nn.Hardsigmoid())

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gate(x)


NETWORKS: dict[str, tuple[Any, tuple[int, ...]]] = {
    "lenet, tanh and averages": (lambda: lenet(nn.Tanh, nn.AvgPool2d), (1, 28, 28)),
    "lenet, relu and maxima": (lambda: lenet(nn.ReLU, nn.MaxPool2d), (1, 28, 28)),
    "vgg with batch norm": (vgg, (3, 16, 16)),
    "resnet-18": (lambda: ResNet(width=4, depths=(2, 2, 2, 2)), (3, 32, 32)),
    "u-net, transposed": (lambda: UNet(), (1, 14, 13)),
    "u-net, bilinear": (lambda: UNet(bilinear=True), (1, 14, 13)),
    "densenet": (densenet, (3, 8, 8)),
    "mobilenet, relu6": (lambda: MobileNet(nn.ReLU6), (3, 12, 12)),
    "mobilenet, hardswish": (lambda: MobileNet(nn.Hardswish), (3, 12, 12)),
    "convnext block": (lambda: ConvNeXtBlock(4), (4, 8, 8)),
}


def made(name: str) -> nn.Module:
    """With statistics that batch norm could have seen, and scales of either sign."""
    torch.manual_seed(0)
    model = NETWORKS[name][0]().eval().double()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2.0)
            nn.init.normal_(module.weight, std=0.7)
            nn.init.normal_(module.bias)
    return model


def derivative(model: nn.Module, shape: tuple[int, ...], norm: str) -> float:
    """Largest norm of the Jacobian at points near and far."""
    generator, best = torch.Generator().manual_seed(0), 0.0
    for scale in (0.1, 1.0, 10.0):
        x = scale * torch.randn(1, *shape, generator=generator, dtype=torch.float64)
        matrix = torch.func.jacrev(lambda z: model(z).flatten())(x).detach().flatten(1)
        best = max(best, float(torch.linalg.matrix_norm(matrix, 2) if norm == "l2" else matrix.abs().sum(1).max()))
    return best


@pytest.mark.parametrize("name", list(NETWORKS))
def test_the_bound_is_finite_above_the_derivative_and_explained(name: str) -> None:
    model, shape = made(name), NETWORKS[name][1]
    start = time.perf_counter()
    tree = breakdown(model, input_shape=shape)
    spent = time.perf_counter() - start
    attained = derivative(model, shape, "l2")
    assert 0.0 < attained <= tree.bound * (1 + ROUNDING)
    assert math.isfinite(tree.bound)
    assert spent < SECONDS
    text = str(tree)
    print(f"{name}: at least {attained:.4g}, {spent:.1f} s\n{text}")
    layers = [
        n for n, module in model.named_modules() if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear)
    ]
    assert all(f"'{layer}':" in text for layer in layers)  # every weight is in the proof
    assert len(text.splitlines()) > len(layers)


@pytest.mark.parametrize("name", [name for name in NETWORKS if name != "convnext block"])
def test_the_bound_in_linf_is_finite_and_above_the_derivative(name: str) -> None:
    model, shape = made(name), NETWORKS[name][1]
    bound = lipschitz_bound(model, norm="linf", input_shape=shape)
    assert derivative(model, shape, "linf") <= bound * (1 + ROUNDING) < math.inf


def test_a_bound_of_known_layers_is_the_product_of_their_constants() -> None:
    """LeNet with weights whose norms are known: the bound is not only finite but what the rules say."""
    model = lenet(nn.ReLU, nn.AvgPool2d).double()
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.Conv2d):
                module.weight.zero_()
                module.weight[0, 0, 2, 2] = 3.0
            elif isinstance(module, nn.Linear):
                module.weight.copy_(2.0 * torch.eye(*module.weight.shape))
    exact = 3.0**2 * 0.5**2 * 2.0**3
    assert exact <= lipschitz_bound(model, input_shape=(1, 28, 28)) <= exact * (1 + 1e-4)


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_attention_and_gates_are_refused_with_the_reason(norm: str) -> None:
    with pytest.raises(TypeError, match=r"encoder.*not Lipschitz.*Kim"):
        lipschitz_bound(ViT().eval(), norm=norm, input_shape=(3, 8, 8))
    with pytest.raises(TypeError, match="product of two tensors"):
        lipschitz_bound(nn.Sequential(nn.Conv2d(3, 4, 1), SqueezeExcite(4)), norm=norm, input_shape=(3, 8, 8))


def test_layer_norm_is_refused_in_linf_with_the_reason() -> None:
    with pytest.raises(TypeError, match=r"'norm' \(LayerNorm\).*no bound is known.*linf"):
        lipschitz_bound(made("convnext block"), norm="linf", input_shape=(4, 8, 8))
