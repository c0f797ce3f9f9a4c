"""Residual networks have the published numbers of parameters, compute what their blocks say, and lower to programs."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from taut import certify, models
from taut.models.classifiers import ClassifierOptions
from taut.models.resnets import PLANS, resnet

PUBLISHED = {
    # of torchvision and timm, 1000 classes
    "resnet-18": 11_689_512,
    "resnet-34": 21_797_672,
    "resnet-50": 25_557_032,
    "resnet-101": 44_549_160,
    "resnet-152": 60_192_808,
    "resnext-50": 25_028_904,
    "resnext-101": 44_177_704,
    # ten classes; those of He et al. with shortcuts without parameters
    "cifar-resnet-18": 11_173_962,
    "cifar-resnet-20": 269_722,
    "cifar-resnet-32": 464_154,
    "cifar-resnet-44": 658_586,
    "cifar-resnet-56": 853_018,
    "cifar-resnext-29": 34_426_698,
    "wide-resnet-28": 36_479_194,
    # 16 x 27, then per stage: 10 convolutions, one shortcut, 9 or 10 normalisations of the width; the head
    "wide-resnet-32": 46_160_474,
}


def sizes(name: str) -> tuple[tuple[int, int, int], int]:
    return ((3, 224, 224), 1000) if PLANS[name].stem == "imagenet" else ((3, 32, 32), 10)


@pytest.mark.parametrize("name", PLANS)
def test_parameters_and_layers_are_as_many_as_published(name: str) -> None:
    with torch.device("meta"):
        model = resnet(name, *sizes(name))
    assert sum(p.numel() for p in model.parameters()) == PUBLISHED[name]
    layers = [key for key, module in model.named_modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    shortcuts = [key for key in layers if ".shortcut" in key]
    others = len(layers) - len(shortcuts)
    counted = len(layers) - 1 if name == "wide-resnet-28" else others  # WRN counts shortcuts, and not the head
    assert counted == int(name.rsplit("-", 1)[1])


def written_out(model: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """cifar-resnet-20 by functions of torch alone, from its weights in their order."""
    weights = iter([m for m in model.modules() if isinstance(m, nn.Conv2d | nn.BatchNorm2d | nn.Linear)])

    def conv_norm(x: torch.Tensor, stride: int = 1) -> torch.Tensor:
        conv, norm = next(weights), next(weights)
        x = F.conv2d(x, conv.weight, stride=stride, padding=1)
        shape = (1, -1, 1, 1)
        x = (x - norm.running_mean.view(shape)) / torch.sqrt(norm.running_var.view(shape) + norm.eps)
        return x * norm.weight.view(shape) + norm.bias.view(shape)

    x = conv_norm(x).relu()
    for stage in range(3):
        for block in range(3):
            stride = 2 if stage and not block else 1
            inner = conv_norm(conv_norm(x, stride).relu())
            short = x[:, :, ::stride, ::stride]
            added = (inner.shape[1] - short.shape[1]) // 2
            x = (inner + F.pad(short, (0, 0, 0, 0, added, added))).relu()
    head = next(weights)
    return x.mean(dim=(2, 3)) @ head.weight.T + head.bias


def test_a_small_one_computes_what_its_blocks_say() -> None:
    torch.manual_seed(0)
    model = resnet("cifar-resnet-20", (3, 16, 16), 5, channels=4).double().eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_var, 0.5, 2.0)
            for tensor in (module.running_mean, module.weight, module.bias):
                nn.init.uniform_(tensor)
    x = torch.rand(2, 3, 16, 16, dtype=torch.float64)
    expected = written_out(model, x)
    assert torch.allclose(model(x), expected, rtol=1e3 * torch.finfo(torch.float64).eps, atol=0.0)


def test_blocks_that_normalise_first_keep_the_sum() -> None:
    """body(relu(norm(x))) + x where the size stays, and both from relu(norm(x)) where it changes."""
    torch.manual_seed(0)
    model = resnet("wide-resnet-28", (3, 8, 8), 5, channels=4).eval()
    x = torch.randn(2, 4, 8, 8)
    first, second = model.stages[0][0], model.stages[1][0]
    assert torch.allclose(first(x) - x, first.body(first.first(x)), atol=1e-5)
    active = second.first(x)
    assert torch.allclose(
        second(x), second.body(active) + F.conv2d(active, second.shortcut.weight, stride=2), atol=1e-5
    )


@pytest.mark.parametrize("name", ["resnet-18", "resnext-50", "cifar-resnet-20", "wide-resnet-28"])
def test_it_lowers_to_the_program_that_it_computes(name: str) -> None:
    torch.manual_seed(0)
    model = resnet(name, (3, 32, 32), 4, channels=16 if name == "resnext-50" else 4).eval()
    program = certify.lower(model, (3, 32, 32))
    x = torch.rand(2, 3, 32, 32)
    expected = model.double()(x.double())
    assert torch.allclose(program(x.double()), expected, rtol=1e-9, atol=1e-9 * float(expected.detach().abs().max()))


def test_pictures_of_any_size_and_options() -> None:
    build = models.classifiers()["resnet-18"]
    model = build((3, 64, 64), 7, ClassifierOptions(channels=4, dropout=0.5)).eval()
    assert model(torch.rand(2, 3, 64, 64)).shape == model(torch.rand(2, 3, 40, 56)).shape == (2, 7)
    assert [type(layer).__name__ for layer in model.head] == ["Dropout", "Linear"]
    with pytest.raises(ValueError, match="activation must be relu, got group-sort"):
        build((3, 64, 64), 7, ClassifierOptions(activation="group-sort"))
    with pytest.raises(ValueError, match="takes pictures"):
        build((64,), 7, ClassifierOptions())
    with pytest.raises(ValueError, match="multiple of the 32 groups, got 3"):
        models.classifiers()["resnext-50"]((3, 64, 64), 7, ClassifierOptions(channels=3))
