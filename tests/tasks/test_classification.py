"""Pieces of the classification task: estimates, consistency of proof and attack, what is written."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import safetensors.torch
import torch

from taut import certify, data, models
from taut import nn as tnn
from taut.attacks import AttackResult
from taut.errors import UsageError, UserError
from taut.tasks import provenance
from taut.tasks.classification import Config, DataConfig, EvaluationConfig, LossConfig, ModelConfig, measure, outcome
from taut.tasks.classification.parts import (
    build_loss,
    build_model,
    head_constants,
    head_of,
    radius_estimate,
    set_inputs_,
)
from taut.tasks.layers import layer_rows

DIGITS = data.problem("digits")


def small_split(count: int = 40) -> data.Split:
    split = data.load("digits").test
    return data.Split(inputs=split.inputs[:count], labels=split.labels[:count])


def folded(**options) -> torch.nn.Module:
    torch.manual_seed(0)
    return tnn.fold(models.mlp(DIGITS.shape, 10, width=16, depth=1, **options))


@pytest.mark.parametrize("lipschitz", [1.0, 3.0])
def test_the_training_estimate_agrees_with_the_proof_where_the_body_is_orthogonal(lipschitz: float) -> None:
    model, split = folded(lipschitz=lipschitz), small_split()
    constants = head_constants(model, ModelConfig(lipschitz=lipschitz), norm="l2", folded=True)
    with torch.no_grad():
        estimate = radius_estimate(model(split.inputs), split.labels, constants(10))
    proven = certify.robustness(model, split.inputs, split.labels).radius
    assert torch.allclose(estimate.double(), proven, atol=1e-4)
    assert int((proven > 0).sum()) > 0


def test_losses_are_those_of_the_library() -> None:
    logits, labels = torch.randn(6, 10), torch.randint(0, 10, (6,))
    assert build_loss(LossConfig(loss="cross-entropy"))(logits, labels) == torch.nn.functional.cross_entropy(
        logits, labels
    )
    shifted = logits - 2.0 * torch.nn.functional.one_hot(labels, 10)
    expected = 0.5 * torch.nn.functional.cross_entropy(shifted / 0.5, labels)
    assert torch.allclose(build_loss(LossConfig(temperature=0.5, offset=2.0))(logits, labels), expected)
    own = logits.gather(1, labels[:, None]).squeeze(1)
    others = logits.scatter(1, labels[:, None], -torch.inf).amax(dim=1)
    hinge = build_loss(LossConfig(loss="margin", offset=1.0))(logits, labels)
    assert torch.allclose(hinge, (1.0 - (own - others)).clamp_min(0).mean())


@pytest.mark.parametrize(
    ("options", "reason"),
    [({"width": 7}, "7"), ({"activation": "group-sort", "group_size": 5}, "5"), ({"depth": -1}, "-1")],
)
def test_a_network_that_cannot_be_built_is_a_usage_error(options: dict, reason: str) -> None:
    with pytest.raises(UsageError, match=f"cannot build the network: .*{reason}"):
        build_model(ModelConfig(**options), DIGITS)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: DataConfig(batch_size=0), "batch-size must be at least 1, got 0"),
        (lambda: DataConfig(augment_shift=-1), "augment-shift must not be negative, got -1"),
        (lambda: LossConfig(temperature=0.0), "temperature must be a positive number, got 0"),
        (lambda: EvaluationConfig(radii=()), "radii must be positive numbers"),
        (lambda: EvaluationConfig(radii=(0.1, -0.2)), "radii must be positive numbers"),
        (lambda: EvaluationConfig(radii=(0.1, 0.1)), "radii must differ"),
        (lambda: EvaluationConfig(attack_steps=0), "attack-steps must be at least 1"),
        (lambda: Config(seed=-1), "seed must be in"),
    ],
)
def test_configs_refuse_values_that_cannot_be_meant(make, reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        make()


def test_an_attack_within_a_certified_radius_is_an_error_that_keeps_the_sample(tmp_path: Path) -> None:
    model, split = folded(), small_split()
    certificate = certify.robustness(model, split.inputs, split.labels)
    sample = int(certificate.radius.argmax())
    radius = float(certificate.radius[sample])
    assert radius > 0
    honest = AttackResult(torch.full((40,), torch.inf, dtype=torch.float64), split.inputs.double())
    honest.broken_at[sample] = radius
    measure.check_consistent(certificate, honest, split, tmp_path)
    assert list(tmp_path.iterdir()) == []

    honest.broken_at[sample] = radius * (1 - 1e-12)
    with pytest.raises(UserError, match=f"certificate refuted: sample {sample} is certified") as refusal:
        measure.check_consistent(certificate, honest, split, tmp_path)
    saved = safetensors.torch.load_file(tmp_path / "violation.safetensors")
    assert str(tmp_path / "violation.safetensors") in str(refusal.value)
    assert int(saved["index"]) == sample
    assert torch.equal(saved["input"], split.inputs[sample])


def test_a_network_without_gradients_cannot_be_attacked_and_that_is_said() -> None:
    class Detached(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.detach()

    model, config = torch.nn.Sequential(folded(), Detached()), EvaluationConfig(attack_samples=4, attack_steps=2)
    inputs = small_split(4).inputs  # all of them right: what is wrong already needs no attack
    for attack in (partial(measure.attacked, seed=0, quiet=True), measure.attacked_once):
        with pytest.raises(UserError, match="cannot attack this network: "):
            attack(model, data.Split(inputs=inputs, labels=model(inputs).argmax(dim=1)), config, device="cpu")


def test_a_false_certificate_is_refuted_by_the_attack(tmp_path: Path) -> None:
    """End to end: radii three times too large do not survive PGD."""
    model, split = folded(), small_split()
    split = data.Split(inputs=split.inputs, labels=model(split.inputs).argmax(dim=1))
    certificate = certify.robustness(model, split.inputs, split.labels)
    radius = float(certificate.radius.median())
    config = EvaluationConfig(radii=(radius, 2 * radius), attack_samples=40)
    attack = measure.attacked(model, split, config, seed=0, device="cpu", quiet=True)
    measure.check_consistent(certificate, attack, split, tmp_path)
    with pytest.raises(UserError, match="certificate refuted"):
        measure.check_consistent(replace(certificate, radius=3 * certificate.radius), attack, split, tmp_path)


def test_samples_that_were_not_attacked_count_as_they_are() -> None:
    model, split = folded(), small_split()
    certificate = certify.robustness(model, split.inputs, split.labels)
    config = EvaluationConfig(radii=(0.05, 0.5), attack_samples=15)
    attack = measure.attacked(model, split, config, seed=0, device="cpu", quiet=True)
    tensors = outcome.attack_tensors(config, certificate, attack)
    clean = certificate.prediction == certificate.label
    for eps in config.radii:
        survived = tensors[f"attacked_{eps:g}"]
        assert torch.equal(survived[15:], clean[15:])
        assert float(survived[:15].double().mean()) == attack.accuracy(eps)
    figures = outcome.accuracies(config, certificate, attack)
    assert figures["attack"]["samples"] == 15
    assert figures["attack"]["certified"]["0.05"] == float((certificate.radius[:15] > 0.05).double().mean())
    assert figures["attacked"]["0.5"] >= figures["attack"]["certified"]["0.5"]


def test_the_extreme_pictures_are_the_extreme_ones() -> None:
    model, split = folded(), small_split()
    certificate = certify.robustness(model, split.inputs, split.labels)
    tensors = outcome.evaluation_tensors(split, certificate)
    most, least = tensors["most_certified_index"], tensors["least_certified_index"]
    positive = certificate.radius[certificate.radius > 0].sort().values
    assert certificate.radius[most].max() == positive[-1]
    assert certificate.radius[least].min() == positive[0] > 0
    assert torch.equal(tensors["most_certified"], split.inputs[most])


def test_every_layer_has_a_row_with_its_spectrum() -> None:
    rows = layer_rows(folded(), "l2", DIGITS.shape)
    linear = [row for row in rows if row["kind"] == "Linear"]
    assert [len(row["singular_values"]) for row in linear] == [16, 10]
    for row in linear:
        assert row["sigma_min"] == pytest.approx(min(row["singular_values"]))
        assert row["bound"] >= max(row["singular_values"]) * (1 - 1e-12)


def test_slopes_of_an_activation_have_no_spectrum() -> None:
    rows = layer_rows(folded(activation="lipschitz-prelu"), "l2", DIGITS.shape)
    assert [len(row["singular_values"]) > 0 for row in rows if row["kind"] in ("Linear", "PReLU")] == [
        True,
        False,
        True,
    ]


def test_the_commit_is_that_of_the_checkout() -> None:
    import subprocess

    command = ["git", "-C", str(Path(provenance.__file__).parent), "rev-parse", "HEAD"]
    head = subprocess.run(command, capture_output=True, text=True, check=False)
    if head.returncode:
        assert provenance.commit() is None
    else:
        assert str(provenance.commit()).removesuffix("-dirty") == head.stdout.strip()


def test_the_machine_is_described_without_its_name() -> None:
    import platform

    assert platform.node() not in provenance.machine().split(", ")


@pytest.mark.parametrize("inputs", ["as-is", "standardised"])
@pytest.mark.parametrize(
    ("options", "norm"),
    [
        ({"head": "sll"}, "l2"),
        ({"head": "cpl"}, "l2"),
        ({"tanh": True, "lipschitz": 2.0}, "l2"),
        ({"architecture": "distances", "linear": "linf-dist"}, "linf"),
        ({"linear": "linf-dist", "head": "sort"}, "linf"),
    ],
)
def test_estimates_and_constants_are_right_where_the_network_does_not_end_in_a_linear_layer(
    options: dict, norm: str, inputs: str
) -> None:
    torch.manual_seed(0)
    config, split = ModelConfig(width=10, depth=1, inputs=inputs, **options), small_split()
    model = build_model(config, DIGITS)
    set_inputs_(model, split)
    plain = tnn.fold(model).eval()
    with torch.no_grad():
        logits = plain(split.inputs)
        constants = head_constants(plain, config, norm=norm, folded=True)(10)
        assert torch.allclose(head_constants(model, config, norm=norm)(10), constants, rtol=1e-4)
        labels = logits.argmax(dim=1)
        estimate = radius_estimate(logits, labels, constants)
    # the constants hold: no two pictures are nearer than the difference of logits says
    order = 2 if norm == "l2" else torch.inf
    apart = torch.cdist(split.inputs.flatten(1), split.inputs.flatten(1), p=order)
    gaps = logits[:, :, None] - logits[:, None]  # samples, classes, classes
    steepest = ((gaps[:, None] - gaps[None]).abs() / apart.clamp_min(1e-6)[:, :, None, None])[apart > 1e-3].amax(0)
    assert bool((steepest <= constants * (1 + 1e-4) + 1e-6).all())
    proven = certify.robustness(plain, split.inputs, labels, norm=norm).radius
    assert bool((estimate.double() >= proven * (1 - 1e-3)).all())
    if not options.get("tanh"):
        assert torch.allclose(estimate.double(), proven, rtol=0.05, atol=1e-6)


def test_the_head_is_found_behind_wrappers_and_not_in_the_body() -> None:
    for name in ("mlp", "lenet", "liresnet"):
        options = {"channels": 4, "blocks": 1} if name == "liresnet" else {"channels": 4} if name == "lenet" else {}
        config = ModelConfig(architecture=name, width=8, depth=1, lipschitz=3.0, inputs="centred", **options)
        head, squashed = head_of(build_model(replace(config, tanh=True), DIGITS))
        assert head is not None
        assert (head.out_features, squashed) == (10, True)
    assert head_of(build_model(ModelConfig(width=8, depth=1, head="sll"), DIGITS)) == (None, False)
    assert head_of(torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.ReLU())) == (None, False)


def test_behind_a_tangent_close_rows_can_part() -> None:
    head = torch.nn.Linear(2, 2)
    with torch.no_grad():
        head.weight.copy_(torch.tensor([[1.0, 0.0], [0.9, 0.1]]))
        head.bias.copy_(torch.tensor([0.0, 9.0]))  # the second logit is at 1 and stays there
    model = torch.nn.Sequential(head, torch.nn.Tanh())
    free = head_constants(torch.nn.Sequential(head), ModelConfig(), norm="l2")(2)
    constants = head_constants(model, ModelConfig(tanh=True), norm="l2")(2)
    assert float(free[0, 1].detach()) == pytest.approx(0.1 * 2**0.5, rel=1e-5)
    assert constants.tolist() == [[0.0, 1.0], [1.0, 0.0]]
    steps = model(torch.tensor([[0.0, 0.0], [0.01, 0.0]])).detach().diff(dim=1)
    assert 0.5 < float(steps.diff(dim=0).abs()) / 0.01 <= 1.0
