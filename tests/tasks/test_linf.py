"""Runs in linf: distances are certified, attacked by one step and by many, and the three agree."""

import copy
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import taut
from taut import data, models
from taut import nn as tnn
from taut.attacks import attack_accuracy
from taut.errors import UsageError, UserError
from taut.recipes import BUDGETS, recipe
from taut.tasks.classification import EvaluationConfig, LossConfig, ModelConfig, measure
from taut.tasks.classification.parts import build_loss, build_model, head_constants, radius_estimate

RADII = (0.05, 0.2)
EVALUATION = EvaluationConfig(norm="linf", radii=RADII, attack_samples=12, attack_steps=5, attack_restarts=1, fgsm=True)


def network() -> torch.nn.Module:
    torch.manual_seed(0)
    net = models.distance_net((1, 4, 4), 3, width=10, depth=1)
    net(torch.rand(30, 1, 4, 4))  # running means
    return net.eval()


def split() -> data.Split:
    inputs = torch.rand(20, 1, 4, 4, generator=torch.Generator().manual_seed(1))
    labels = network()(inputs).argmax(1)
    labels[:2] = (labels[:2] + 1) % 3  # two are wrong from the start
    return data.Split(inputs=inputs, labels=labels)


@pytest.mark.parametrize("factor", [1.0, 1e4])
def test_one_step_does_not_take_large_logits_for_robustness(factor: float) -> None:
    torch.manual_seed(0)
    plain = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 3))
    inputs = torch.rand(12, 1, 4, 4, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        plain[1].bias -= plain(inputs).mean(0)  # so that every class is met
        plain[1].weight.mul_(factor)
        plain[1].bias.mul_(factor)
    held_out = data.Split(inputs=inputs, labels=plain(inputs).argmax(1))
    assert measure.attacked_once(plain, held_out, EVALUATION, device="cpu").accuracy(0.2) < 0.5


def test_what_is_certified_survives_many_steps_and_one_step(tmp_path: Path) -> None:
    plain, held_out = taut.fold(network()), split()
    certificate = measure.certified(plain, held_out, norm="linf", quiet=True)
    many = measure.attacked(plain, held_out, EVALUATION, seed=0, device="cpu", quiet=True)
    once = measure.attacked_once(plain, held_out, EVALUATION, device="cpu")
    measure.check_consistent(certificate, many, held_out, tmp_path)
    measure.check_consistent(certificate, once, held_out, tmp_path)
    radius = torch.as_tensor(certificate.radius)[:12]
    for eps in RADII:
        certified = float((radius > eps).double().mean())
        assert certified <= min(many.accuracy(eps), once.accuracy(eps)) <= 10 / 12
    assert once.accuracy(0.2) < 10 / 12  # one step finds some
    assert once.broken_at[:2].tolist() == [0.0, 0.0]
    moved = (once.example - held_out.inputs[:12].double()).flatten(1).abs().amax(1)
    broken = once.broken_at.isfinite()
    assert bool((moved[broken] <= once.broken_at[broken]).all())
    judge = copy.deepcopy(plain).double()
    assert not bool((judge(once.example[broken]).argmax(1) == held_out.labels[:12][broken]).any())
    far = replace(certificate, radius=certificate.radius + 10.0)
    with pytest.raises(UserError, match="certificate refuted"):
        measure.check_consistent(far, once, held_out, tmp_path)


def test_layers_in_the_place_of_their_graphs_are_the_same_function() -> None:
    plain = torch.nn.Sequential(taut.fold(network()), torch.nn.Tanh())
    quick, x = measure.quickest(plain), split().inputs
    assert sum(isinstance(module, tnn.LInfDistLinear) for module in quick.modules()) == 2
    assert not any(isinstance(module, tnn.LInfDistLinear) for module in plain.modules())
    assert torch.equal(quick(x), plain(x))
    assert torch.equal(copy.deepcopy(quick).double()(x.double()), copy.deepcopy(plain).double()(x.double()))


def test_attacks_of_distances_follow_a_smooth_maximum_and_find_more() -> None:
    plain, held_out = taut.fold(network()), split()
    guide = measure.guide(plain)
    assert [m.p for m in guide.modules() if isinstance(m, tnn.LInfDistLinear)] == [50.0] * 2
    guided = measure.attacked(plain, held_out, EVALUATION, seed=0, device="cpu", quiet=True)
    alone = attack_accuracy(
        plain, held_out.inputs[:12], held_out.labels[:12], RADII, norm="linf", steps=5, restarts=1, loss="both"
    )
    assert guided.accuracy(0.2) < alone.accuracy(0.2)
    point = guided.example[guided.broken_at == 0.2]
    assert not bool(
        (copy.deepcopy(plain).double()(point).argmax(1) == held_out.labels[:12][guided.broken_at == 0.2]).any()
    )


def test_the_estimate_of_radii_is_the_proof_but_for_rounding() -> None:
    plain, held_out = taut.fold(network()), split()
    certificate = measure.certified(plain, held_out, norm="linf", quiet=True)
    constants = head_constants(plain, ModelConfig(), norm="linf", folded=True)
    estimate = radius_estimate(plain(held_out.inputs).detach(), held_out.labels, constants(3))
    assert torch.allclose(estimate.double(), torch.as_tensor(certificate.radius), atol=1e-6)
    assert estimate[:2].tolist() == [0.0, 0.0]


def test_the_hinge_beside_the_cross_entropy() -> None:
    logits, labels = torch.tensor([[1.0, 0.5, 0.0], [0.0, 2.0, 0.0]]), torch.tensor([0, 1])
    config = LossConfig(loss="margin-cross-entropy", offset=2.0, temperature=0.5, cross_entropy=0.25)
    of_each = [(1 - 0.5 / 2) + 0.25 * math.log(1 + math.exp(-1) + math.exp(-2)), 0.25 * math.log(1 + 2 * math.exp(-4))]
    each = build_loss(config, reduction="none")(logits, labels)
    assert each.tolist() == pytest.approx(of_each, rel=1e-5)
    assert float(build_loss(config)(logits, labels)) == pytest.approx(sum(of_each) / 2, rel=1e-5)
    with pytest.raises(UsageError, match="cross-entropy"):
        LossConfig(cross_entropy=-1.0)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"linear": "bjorck"}, "linf-dist or sort"),
        ({"activation": "full-sort"}, "no activation to choose"),
        ({"dropout": 0.3}, "dropout is for linear sort"),
        ({"linear": "sort"}, "sort needs dropout"),
    ],
)
def test_what_a_network_of_distances_does_not_have_is_refused(options: dict, reason: str) -> None:
    problem = data.problem("digits", None)
    config = ModelConfig(**{"architecture": "distances", "linear": "linf-dist", "width": 4, "depth": 1, **options})
    with pytest.raises(UsageError, match=reason):
        build_model(config, problem)


def test_recipes_are_in_linf_and_the_published_size_is_one_flag_away() -> None:
    for name in ("mnist-linf", "mnist-linf-dist", "mnist-linf-standard"):
        config = recipe(name)
        assert config.evaluation.norm == "linf"
        assert {0.1, 0.2, 0.3} <= set(config.evaluation.radii)
        assert config.evaluation.fgsm
    full = BUDGETS["mnist-linf-dist"]["full"]()
    assert (full.model.width, full.model.depth, full.model.relaxation) == (5120, 4, "lp")
    assert (full.relaxation.p_start, full.relaxation.p_end, full.optimizer.epochs) == (8.0, 1000.0, 400)
    standard, constrained = recipe("mnist-linf-standard"), recipe("mnist-linf")
    same = {"model": constrained.model, "loss": constrained.loss, "optimizer": constrained.optimizer}
    assert replace(standard, **same) == constrained
    assert (standard.model.width, standard.model.depth) == (constrained.model.width, constrained.model.depth)
