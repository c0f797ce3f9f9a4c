"""Every attack by its name, against closed forms; and the manners of calling them."""

import builtins
import copy
import math

import pytest
import torch
from torch import nn

from taut import certify
from taut import nn as tnn
from taut.attacks import METHODS, distance, margins, run_attack, settings

NORMS = ("l2", "linf")
MINIMAL = [(name, norm) for name, method in METHODS.items() for norm in method.norms if method.minimal]
WITHIN = [(name, norm) for name, method in METHODS.items() for norm in method.norms if not method.minimal]
STEPS = {
    "pgd": 10, "apgd": 15, "apgd-dlr": 15, "auto": 4, "square": 250, "fab": 10, "boundary": 700, "hopskipjump": 5,
    "cw": 60, "ddn": 50, "fmn": 50,
}  # fmt: skip
CLOSE = {"cw": 1.1, "boundary": 2.0, "hopskipjump": 1.6, "fmn": 1.02}
"""How far from the exact distance the slow ones may stay on average in so few steps; the others come within 0.1 %."""
LOST = {("fmn", "linf"): 0.1}
"""Share of the samples for which foolbox's attack may return nothing that is misclassified."""


@pytest.mark.parametrize(("name", "norm"), MINIMAL)
def test_minimal_distances_of_a_linear_classifier_are_the_exact_ones_from_above(two_classes, name, norm) -> None:
    case, exact = two_classes, two_classes.exact(norm)
    outcome = run_attack(name, case.model, case.inputs, case.labels, norm=norm, steps=STEPS.get(name))
    found = outcome.result.broken_at
    assert (found >= exact * (1 - 1e-12)).all()
    reached = torch.isfinite(found)
    assert float((found / exact)[reached].mean()) <= CLOSE.get(name, 1.001)
    assert outcome.success_rate() >= 1 - LOST.get((name, norm), 0.0)


@pytest.mark.parametrize(("name", "norm"), [pair for pair in MINIMAL if pair[0] in ("deepfool", "fab")])
def test_the_nearest_of_several_classes_is_found(five_classes, name, norm) -> None:
    case, exact = five_classes, five_classes.exact(norm)
    found = run_attack(name, case.model, case.inputs, case.labels, norm=norm, steps=STEPS.get(name)).result.broken_at
    assert (found >= exact * (1 - 1e-12)).all()
    assert float((found / exact).max()) <= 1.01


@pytest.mark.parametrize(("name", "norm"), WITHIN)
def test_within_a_radius_a_linear_classifier_is_broken_exactly_where_it_can_be(two_classes, name, norm) -> None:
    case, exact = two_classes, two_classes.exact(norm)
    eps = float(exact.median()) * 1.001
    outcome = run_attack(name, case.model, case.inputs, case.labels, eps=eps, norm=norm, steps=STEPS.get(name))
    broken = outcome.result.broken_at <= eps
    assert not (broken & (exact > eps)).any()
    reach = 0.8 if name == "square" and norm == "l2" else 0.995  # random search
    assert broken[exact < reach * eps].all()
    assert outcome.success_rate() == float(broken.double().mean())


@pytest.mark.parametrize(("name", "norm"), [*WITHIN, ("fab", "l2"), ("deepfool", "linf")])
def test_examples_are_in_the_box_at_the_stated_distance_and_misclassified_in_float64(name, norm) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(12, 30), nn.ReLU(), nn.Linear(30, 4))
    x = torch.rand(12, 1, 3, 4).round(decimals=1)
    y = model(x).argmax(dim=1)
    result = run_attack(name, model, x, y, eps=[0.02, 0.3], norm=norm, steps=STEPS.get(name)).result
    broken = torch.isfinite(result.broken_at)
    assert broken.any()
    assert 0 <= float(result.example.min()) <= float(result.example.max()) <= 1
    size = (result.example - x.double()).flatten(1)
    size = torch.linalg.vector_norm(size, ord=2 if norm == "l2" else math.inf, dim=1)
    assert torch.equal(size[broken], result.broken_at[broken])
    judge = copy.deepcopy(model).double()
    assert (margins(judge(result.example), y)[broken] <= 0).all()


@pytest.mark.parametrize("name", ["apgd-dlr", "fab", "hopskipjump", "square"])
def test_a_seed_makes_an_attack_repeatable_and_leaves_the_global_generators_alone(two_classes, name) -> None:
    case = two_classes

    def attack() -> torch.Tensor:
        outcome = run_attack(name, case.model, case.inputs[:6], case.labels[:6], eps=0.05, seed=3, steps=3)
        return outcome.result.example

    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = attack()
    assert torch.equal(before, torch.get_rng_state())
    torch.manual_seed(2)
    assert torch.equal(first, attack())


def test_an_unfolded_network_is_attacked_as_it_is_certified() -> None:
    torch.manual_seed(0)
    model = tnn.Sequential(nn.Flatten(), tnn.BjorckLinear(12, 16), tnn.MaxMin(), tnn.BjorckLinear(16, 4))
    x = torch.rand(6, 1, 3, 4)
    y = model(x).argmax(dim=1)
    outcome = run_attack("fab", model, x, y, steps=3, batch_size=4)
    folded = run_attack("fab", tnn.fold(model), x, y, steps=3, batch_size=4)
    assert torch.equal(outcome.result.broken_at, folded.result.broken_at)
    radius = torch.as_tensor(certify.robustness(model, x, y).radius)
    assert (outcome.result.broken_at >= radius).all()
    assert hasattr(model[1], "parametrizations")


def test_a_guide_is_followed_and_does_not_judge(two_classes) -> None:
    case = two_classes
    turned = copy.deepcopy(case.model)
    with torch.no_grad():
        turned[1].weight.neg_()
    outcome = run_attack("fgsm", case.model, case.inputs, case.labels, eps=0.3, guide=turned)
    assert outcome.success_rate() == 0.0  # led away from the boundary, whatever the guide thinks of the points
    assert run_attack("fgsm", case.model, case.inputs, case.labels, eps=0.3).success_rate() > 0.5


def test_misclassified_samples_count_as_broken_at_zero_and_not_as_successes(two_classes) -> None:
    case = two_classes
    wrong = case.labels.clone()
    wrong[:4] = 1 - wrong[:4]
    outcome = run_attack("fab", case.model, case.inputs, wrong, steps=5)
    assert outcome.result.broken_at[:4].tolist() == [0.0] * 4
    assert outcome.result.accuracy(0.0) == 20 / 24
    assert len(outcome.distances()) == 20


@pytest.mark.parametrize("classes", [2, 5])
def test_probabilities_are_refused_and_logits_that_happen_to_sum_to_one_are_not(classes) -> None:
    x, y = torch.rand(3, 12), torch.zeros(3, dtype=torch.int64)
    linear = nn.Linear(12, classes)
    with pytest.raises(ValueError, match="remove its softmax"):
        run_attack("pgd", nn.Sequential(linear, nn.Softmax(dim=1)), x, y, eps=0.1, steps=1)
    run_attack("pgd", nn.Sequential(linear, nn.LogSoftmax(dim=1)), x, y, eps=0.1, steps=1, restarts=1)
    identity = nn.Linear(2, 2, bias=False)
    nn.init.eye_(identity.weight)
    run_attack("fgsm", identity, torch.tensor([[0.6, 0.4]]), torch.tensor([0]), eps=0.1)


@pytest.mark.parametrize(
    ("name", "options", "reason"),
    [
        ("nothing", {}, "attack must be one of fgsm, pgd"),
        ("pgd", {}, "pgd attacks within a radius: give eps"),
        ("pgd", {"eps": -1.0}, "eps must be positive"),
        ("pgd", {"eps": 0.1, "norm": "l1"}, "norm must be 'l2' or 'linf'"),
        ("cw", {"norm": "linf"}, "cw exists for l2 alone; for linf there are deepfool, hopskipjump, fmn, fab"),
        ("deepfool", {"restarts": 2}, "deepfool has no restarts to choose, got 2"),
        ("apgd", {"eps": 0.1, "loss": "margin"}, "apgd has no loss to choose"),
        ("fgsm", {"eps": 0.1, "loss": "both"}, "the loss of fgsm must be one of cross-entropy, margin"),
        ("fab", {"steps": 0}, "steps must be at least 1"),
        ("fab", {"labels": torch.tensor([0, 7])}, "labels must lie in 0 .. 1"),
        ("fab", {"inputs": torch.full((2, 12), 1.5)}, "inputs must lie in"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_a_sentence(name, options, reason) -> None:
    inputs = options.pop("inputs", torch.full((2, 12), 0.5))
    labels = options.pop("labels", torch.tensor([0, 1]))
    with pytest.raises(ValueError, match=reason):
        run_attack(name, nn.Linear(12, 2), inputs, labels, **options)


def test_without_foolbox_the_command_that_installs_it_is_said(monkeypatch, two_classes) -> None:
    real = builtins.__import__

    def absent(name, *arguments, **options):
        if name.partition(".")[0] == "foolbox":
            raise ModuleNotFoundError("No module named 'foolbox'", name="foolbox")
        return real(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(
        ValueError, match=r'the attack deepfool needs the package foolbox: pip install "taut\[attacks\]"'
    ):
        run_attack("deepfool", two_classes.model, two_classes.inputs, two_classes.labels)
    run_attack("fab", two_classes.model, two_classes.inputs[:1], two_classes.labels[:1], steps=1)


def test_progress_ends_at_all_of_the_work(two_classes) -> None:
    seen: list[tuple[int, int]] = []
    case = two_classes
    run_attack(
        "fgsm",
        case.model,
        case.inputs,
        case.labels,
        eps=[0.1, 0.2],
        batch_size=10,
        progress=lambda *at: seen.append(at),
    )
    assert seen == sorted(seen)
    assert seen[-1] == (48, 48)


def test_defaults_are_those_of_the_attack() -> None:
    assert settings("square").steps == 5000
    assert settings("pgd").loss == "both"
    assert float(distance(torch.zeros(1, 2), torch.tensor([[3.0, 4.0]]), "linf")) == 4.0
