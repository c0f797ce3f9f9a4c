"""An attack that cannot work says so instead of calling the network robust."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from taut.attacks import attack_accuracy, run_attack
from taut.training.ascent import ascend

BY_GRADIENTS = ("fgsm", "pgd", "apgd", "apgd-dlr", "fab")
STEPS = {"fgsm": None, "pgd": 5, "apgd": 5, "apgd-dlr": 5, "fab": 5, "square": 100}


def linear(features: int = 64) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(features, 4))


def samples(model: nn.Module, shape: tuple[int, ...] = (1, 8, 8)) -> tuple[Tensor, Tensor]:
    inputs = torch.rand(20, *shape, generator=torch.Generator().manual_seed(1))
    dtype = next(model.parameters()).dtype
    return inputs, model(inputs.to(dtype)).argmax(1)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize(("norm", "eps"), [("l2", 1.5), ("linf", 0.2)])
@pytest.mark.parametrize("name", ["fgsm", "pgd", "apgd-dlr", "square"])
def test_networks_in_half_precision_are_as_easily_broken_as_in_full(
    name: str, norm: str, eps: float, dtype: torch.dtype
) -> None:
    model = linear().to(dtype)
    inputs, labels = samples(model)
    full = run_attack(name, linear(), inputs, labels, eps=eps, norm=norm, steps=STEPS[name])
    half = run_attack(name, model, inputs, labels, eps=eps, norm=norm, steps=STEPS[name])
    assert abs(half.result.accuracy(eps) - full.result.accuracy(eps)) <= 0.05
    assert half.result.accuracy(eps) < 0.5
    assert next(model.parameters()).dtype == dtype
    if name == "pgd":
        assert attack_accuracy(model, inputs, labels, [eps], norm=norm, steps=5).accuracy(eps) < 0.5


def test_adversarial_training_refuses_inputs_that_cannot_be_moved() -> None:
    for dtype in (torch.bfloat16, torch.float16):
        with pytest.raises(ValueError, match="float32 or float64"):
            ascend(torch.full((1, 4), 0.5, dtype=dtype), lambda x: x.sum(1), eps=1.0)
    for eps in (math.inf, math.nan):
        with pytest.raises(ValueError, match="positive and finite"):
            ascend(torch.full((1, 4), 0.5), lambda x: x.sum(1), eps=eps)
    assert ascend(torch.full((1, 4), 0.5), lambda x: x.sum(1), eps=1e39).tolist() == [[1.0] * 4]


class Rooted(nn.Module):
    """The same logits, and a gradient that is 0 times infinity."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x) + 0 * (x - x.detach()).square().sum().sqrt()


class Hidden(nn.Module):
    """The same logits, and no gradient."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x.detach())


@pytest.mark.parametrize("name", BY_GRADIENTS)
@pytest.mark.parametrize(("wrapped", "reason"), [(Rooted, "NaN or infinite"), (Hidden, "has no gradient")])
def test_gradients_that_lead_nowhere_are_an_error(name: str, wrapped: type[nn.Module], reason: str) -> None:
    model = linear()
    inputs, labels = samples(model)
    with pytest.raises(ValueError, match=reason):
        run_attack(name, wrapped(model), inputs, labels, eps=1.0, steps=STEPS[name])


@pytest.mark.parametrize("norm", ["l2", "linf"])
@pytest.mark.parametrize("name", ["fgsm", "pgd", "apgd", "apgd-dlr", "square"])
def test_a_radius_beyond_the_box_reaches_all_of_it_and_no_more(name: str, norm: str) -> None:
    model = linear()
    inputs, labels = samples(model)
    found = [
        run_attack(name, model, inputs, labels, eps=eps, norm=norm, steps=STEPS[name]).result
        for eps in (1e3, 1e25, 1e39, 1e300)
    ]
    assert all(torch.equal(one.example, found[0].example) for one in found)
    assert found[0].accuracy(1e3) < (1.0 if name == "square" else 0.5)
    assert 0 <= float(found[0].example.min()) <= float(found[0].example.max()) <= 1


def test_radii_and_labels_of_other_types_are_taken_or_refused_in_a_sentence() -> None:
    model = linear()
    inputs, labels = samples(model)
    for eps in (np.float32(0.5), torch.tensor(0.5), [0.5], (np.float64(0.5),), np.array([0.5]), torch.tensor([0.5])):
        assert run_attack("fgsm", model, inputs, labels.int(), eps=eps).radii == (0.5,)
    for eps in (True, 0.0, math.inf, [0.1, -1.0]):
        with pytest.raises(ValueError, match="eps must be positive numbers"):
            run_attack("fgsm", model, inputs, labels, eps=eps)
    for wrong in (labels.float(), labels > 0):
        with pytest.raises(ValueError, match="labels must be whole numbers"):
            run_attack("fgsm", model, inputs, wrong, eps=0.1)
    with pytest.raises(ValueError, match="batch_size must be at least 1, got 0"):
        run_attack("fgsm", model, inputs, labels, eps=0.1, batch_size=0)
