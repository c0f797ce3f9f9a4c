"""The full evaluation of networks of which everything is known in closed form, and of one without a certificate."""

import importlib
import json
import pkgutil
from pathlib import Path

import pytest
import torch
from torch import nn

from report_page import Page
from taut import certify, data
from taut.attacks import AttackResult
from taut.data import Dataset, Problem, Split
from taut.errors import UsageError, UserError
from taut.files import write_json
from taut.tasks.classification import Config, EvaluationConfig, LossConfig, SavedRun, measure
from taut.tasks.classification.full import FullOptions, full_evaluation
from taut.tasks.classification.full.classes import confusion, gradients, per_class
from taut.tasks.classification.full.constants import constants, weight_norm_product
from taut.tasks.classification.full.distances import attack, distances
from taut.tasks.classification.full.measured import Subject, spread, threshold
from taut.tasks.classification.full.neighbours import neighbours
from taut.tasks.classification.parts import build_loss
from taut.training.run_folder import RunFolder

WEIGHT = torch.tensor([[2.0, -1.0, 0.5, 0.0], [-1.0, 1.0, 0.5, 0.5]])
BETWEEN = (WEIGHT[0] - WEIGHT[1]).double()


def linear_network() -> nn.Sequential:
    net = nn.Sequential(nn.Flatten(), nn.Linear(4, 2, bias=False)).eval()
    with torch.no_grad():
        net[1].weight.copy_(WEIGHT)
    return net


def split_of(count: int, seed: int = 0) -> Split:
    generator = torch.Generator().manual_seed(seed)
    inputs = 0.3 + 0.4 * torch.rand(count, 1, 2, 2, generator=generator)
    return Split(inputs=inputs, labels=(linear_network()(inputs).argmax(dim=1)))


def subject_of(split: Split, *, norm: str = "l2", certified: bool = True) -> Subject:
    model = linear_network()
    config = EvaluationConfig(norm=norm, certify=certified)
    return Subject(
        model=model,
        twin=linear_network().double().requires_grad_(False),
        split=split,
        some=split,
        certificate=measure.assessed(model, split, config, quiet=True),
        loss=build_loss(LossConfig(loss="cross-entropy")),
        norm=norm,
        device=torch.device("cpu"),
        options=FullOptions(attack_steps=10, lanczos_steps=4),
        quiet=True,
    )


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_estimates_of_a_linear_network_are_those_of_its_closed_form(norm: str) -> None:
    """Of two classes the cross-entropy is log(1 + exp(-m)), with m = w . x up to sign: all derivatives are known."""
    split = split_of(30)
    subject = subject_of(split, norm=norm)
    margin = (split.inputs.double().flatten(1) @ BETWEEN).abs()
    dual = BETWEEN.norm() if norm == "l2" else BETWEEN.abs().sum()
    slope = torch.sigmoid(-margin) * dual
    curved = torch.sigmoid(margin) * torch.sigmoid(-margin) * BETWEEN.square().sum()
    gap = torch.log(torch.tensor(2.0, dtype=torch.float64)) - torch.log1p(torch.exp(-margin))
    largest = curved.max() * (1 if norm == "l2" else 4)

    figures, tensors = distances(subject, attack(subject))
    assert torch.allclose(tensors["curvature"], curved, rtol=1e-8)
    assert torch.allclose(tensors["loss_gradient"], slope, rtol=1e-10)
    assert torch.allclose(tensors["first_order_estimate"], gap / slope.max(), rtol=1e-8)
    second = (-slope + (slope.square() + 2 * largest * gap).sqrt()) / largest
    assert torch.allclose(tensors["second_order_estimate"], second, rtol=1e-8)
    assert figures["curvature_estimate"] == pytest.approx(float(largest), rel=1e-8)
    true = margin / dual
    near = true < 0.2  # the box is further away
    assert int(near.sum()) > 5
    assert torch.allclose(tensors["attacked_distance"][near], true[near], rtol=1e-3)
    # the loss is steeper at the boundary than at any sample, so that the first order promises too much
    attained = tensors["attacked_distance"]
    assert figures["above_attacked"] == {
        "first_order_estimate": int((gap / slope.max() > attained).sum()),
        "second_order_estimate": int((second > attained).sum()),
    }
    assert figures["above_attacked"]["first_order_estimate"] > 0


def test_estimates_that_an_attack_refutes_are_counted() -> None:
    split = split_of(12)
    subject = subject_of(split)
    far = AttackResult(torch.full((12,), 1e3, dtype=torch.float64), split.inputs.double())
    honest, _ = distances(subject, far)
    assert honest["above_attacked"] == {"first_order_estimate": 0, "second_order_estimate": 0}
    broken_at = torch.full((12,), 1e-9, dtype=torch.float64)
    broken_at[:2], broken_at[2] = torch.inf, 0.0  # two were not broken, one was wrong before
    figures, _ = distances(subject, AttackResult(broken_at, split.inputs.double()))
    assert figures["above_attacked"] == {"first_order_estimate": 9, "second_order_estimate": 9}
    assert (figures["correct"], figures["attack_succeeded"]) == (11, 9)


def test_the_three_lipschitz_numbers_of_a_linear_network_are_one() -> None:
    figures, tensors = constants(subject_of(split_of(20)))
    known = float(torch.linalg.svdvals(WEIGHT.double())[0])
    assert tensors["jacobian_norm"].tolist() == pytest.approx([known] * 20, rel=1e-12)
    for name in ("jacobian_norm_estimate", "search_estimate", "weight_norm_product", "lipschitz_bound"):
        assert figures[name] == pytest.approx(known, rel=1e-5)
    assert figures["search_estimate"] <= figures["lipschitz_bound"]


def test_the_product_of_weight_norms_takes_every_matrix_once_and_names_the_rest() -> None:
    net = nn.Sequential(nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 3), nn.PReLU(2))
    with torch.no_grad():
        net[0].weight.copy_(torch.diag(torch.tensor([1.0, 2.0, 0.5])))
        net[2].weight.copy_(torch.diag(torch.tensor([3.0, 1.0, 1.0])))
    product, left_out = weight_norm_product(net, "l2")
    assert product == pytest.approx(6.0, rel=1e-6)
    assert left_out == ["3"]


@pytest.mark.parametrize("name", ["cross-entropy", "temperature-offset", "margin", "margin-cross-entropy"])
def test_no_misclassified_sample_has_less_than_the_least_loss(name: str) -> None:
    loss = build_loss(LossConfig(loss=name))
    least = threshold(loss)
    torch.manual_seed(0)
    logits = 3 * torch.randn(300, 5, dtype=torch.float64)
    labels = logits.argmin(dim=1)
    labels[::2] = logits.topk(2, dim=1).indices[::2, 1]
    losses = torch.stack([loss(logits[i : i + 1], labels[i : i + 1]) for i in range(300)])
    assert float(losses.min()) >= least
    tie = torch.tensor([[4.0, 4.0, -200.0]], dtype=torch.float64)
    assert float(loss(tie, torch.tensor([1]))) == pytest.approx(least, rel=1e-12)


def test_spread_keeps_infinity_out_of_json() -> None:
    values = torch.tensor([3.0, 1.0, 2.0, torch.inf, 0.0])
    assert spread(values) == {"count": 5, "min": 0.0, "quartiles": [1.0, 2.0, 3.0], "mean": None, "max": None}
    assert spread(values[:0])["quartiles"] == [None] * 3


def test_radii_beyond_half_the_distance_to_another_label_are_counted() -> None:
    split = split_of(10)
    subject = subject_of(split)
    radius = subject.radius
    assert radius is not None
    # training samples of the other label, planted at a known distance along the first axis
    step = torch.zeros(1, 2, 2)
    step[0, 0, 0] = 0.1
    train = Split(inputs=split.inputs + step, labels=1 - split.labels)
    figures, tensors = neighbours(subject, train)
    distance = tensors["nearest_l2"]
    assert bool((distance <= 0.1 + 1e-6).all())
    assert figures["l2"]["radius_above_half"] == int((2 * radius > distance).sum()) > 0
    assert figures["l2"]["radius_above_all"] == int((radius > distance).sum())
    assert figures["l2"]["min"] == float(distance.min())
    assert torch.equal(tensors["closest"][0], split.inputs[int(distance.argmin())])


def test_classes_are_counted_and_gradients_are_the_rows_difference() -> None:
    split = split_of(24)
    split.labels[:3] = 1 - split.labels[:3]  # three are wrong
    subject = subject_of(split)
    table = confusion(subject, 2)
    predicted = linear_network()(split.inputs).argmax(dim=1)
    for label in (0, 1):
        for answer in (0, 1):
            assert int(table[label, answer]) == int(((split.labels == label) & (predicted == answer)).sum())
    attacked = AttackResult(torch.where(subject.correct, 0.5, 0.0).double(), split.inputs.double())
    rows = per_class(subject, ("a", "b"), (0.25, 0.75), attacked)
    assert sum(row["samples"] for row in rows) == 24
    for label, row in enumerate(rows):
        own = split.labels == label
        assert row["accuracy"] == float((predicted == label)[own].double().mean()) == row["attacked"]["0.25"]
        assert row["attacked"]["0.75"] == 0.0
        assert row["certified"] == row["certified_attacked"]
    found = gradients(subject, 3)
    signed = torch.stack([BETWEEN, -BETWEEN, torch.zeros(4).double()]).reshape(3, 1, 2, 2)
    assert torch.allclose(found["class_gradient"], signed)
    assert torch.allclose(found["sample_gradient"], signed[found["sample_gradient_label"]])


def saved_run(folder: Path, *, certified: bool) -> SavedRun:
    config = Config(loss=LossConfig(loss="cross-entropy"), evaluation=EvaluationConfig(certify=certified))
    head = {"taut": "0", "recipe": "by-hand", "task": "classification", "command": [], "seed": 0, "config": {"seed": 0}}
    write_json(folder / "config.json", head)
    problem = Problem(shape=(1, 2, 2), classes=("a", "b"))
    dataset = Dataset(train=split_of(30, 1), test=split_of(16), name="by-hand", problem=problem)
    return SavedRun(folder=RunFolder(folder), config=config, dataset=dataset, model=linear_network())


@pytest.fixture
def sketched(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plan the plots of the page without drawing them."""
    import taut.reports.evaluation
    from taut.reports.classification import margin_plot
    from taut.reports.pictures.style import Picture

    def sketch(name: str, alt: str, draw: object) -> Picture:
        return Picture(name=name, light=b"", dark=b"", width=960, alt=alt)

    modules = [importlib.import_module(found.name) for found in pkgutil.walk_packages(
        taut.reports.evaluation.__path__, "taut.reports.evaluation."
    )]  # fmt: skip
    for module in [*modules, margin_plot]:
        if hasattr(module, "picture"):
            monkeypatch.setattr(module, "picture", sketch)


@pytest.mark.parametrize("certified", [True, False])
def test_a_network_without_a_certificate_gets_everything_else(tmp_path: Path, sketched: None, certified: bool) -> None:
    run = saved_run(tmp_path, certified=certified)
    options = FullOptions(samples=12, gradient_samples=8, attack_steps=5)
    figures, written = full_evaluation(run, options, quiet=True)
    assert [path.name for path in written] == ["result.json", "evaluation.safetensors", "report.html"]
    assert json.loads(written[0].read_text()) == figures
    assert (figures["samples"], figures["gradient_samples"]) == (12, 8)
    assert bool(figures["certified"]) == certified
    assert ("certified_radius" in figures["distance"]) == certified
    assert figures["attack"]["method"] == "fab"
    assert figures["train"]["error"] == 0.0
    assert set(figures["attacked"]) == {"0.1", "0.25", "0.5", "0.75", "1"}
    page = Page(written[2])
    assert page.asks_for_nothing
    assert ("not certified" in page.text) == (not certified)
    above = figures["distance"]["above_attacked"]
    assert f"did for {above['first_order_estimate']} , the second" in page.text
    assert f"estimate for {above['second_order_estimate']} :" in page.text


def test_damaged_files_are_named(tmp_path: Path, sketched: None) -> None:
    from taut.reports import write_evaluation

    run = saved_run(tmp_path, certified=True)
    with pytest.raises(UserError, match="taut evaluate RUN --full"):
        write_evaluation(tmp_path)
    full_evaluation(run, FullOptions(samples=6, gradient_samples=4, attack_steps=2), quiet=True)
    result = tmp_path / "evaluation" / "result.json"
    figures = json.loads(result.read_text())
    write_json(result, figures | {"samples": 7})
    with pytest.raises(UserError, match="label must have 7 values"):
        write_evaluation(tmp_path)
    write_json(result, figures | {"test": {}})
    with pytest.raises(UserError, match="is damaged"):
        write_evaluation(tmp_path)


def test_a_refuted_certificate_ends_the_evaluation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from taut.tasks.classification.full import evaluate

    def nearer(subject: Subject) -> AttackResult:
        return AttackResult(torch.full((len(subject.some),), 1e-9).double(), subject.some.inputs.double())

    monkeypatch.setattr(evaluate, "attack", nearer)
    with pytest.raises(UserError, match="certificate refuted"):
        full_evaluation(saved_run(tmp_path, certified=True), FullOptions(gradient_samples=4), quiet=True)
    assert not (tmp_path / "evaluation").exists()
    assert (tmp_path / "violation.safetensors").is_file()


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"samples": -1}, "samples must not be negative, got -1"),
        ({"gradient_samples": 0}, "gradient-samples must be at least 1, got 0"),
        ({"attack": "pgd"}, r"nearest point \(deepfool, .*fab\), got 'pgd'"),
        ({"attack_steps": 0}, "attack-steps must be at least 1"),
        ({"lanczos_steps": 0}, "lanczos-steps must be at least 1"),
    ],
)
def test_options_that_cannot_be_meant(options: dict, reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        FullOptions(**options)


def test_the_split_that_is_read_is_the_one_of_the_data() -> None:
    """The oracle of the nearest label on real pictures: brute force in float64."""
    digits = data.load("digits")
    split = Split(inputs=digits.test.inputs[:40], labels=digits.test.labels[:40])
    found = data.nearest_other_label(split.inputs, split.labels, digits.train.inputs, digits.train.labels)
    gaps = split.inputs.double().flatten(1)[:, None] - digits.train.inputs.double().flatten(1)[None]
    distance = gaps.norm(dim=2).masked_fill(split.labels[:, None] == digits.train.labels, torch.inf)
    assert torch.allclose(found.distance, distance.amin(dim=1), rtol=1e-13)
    assert certify.curvature_estimate(lambda x: x.flatten(1).sum(dim=1), split.inputs.double()).tolist() == [0.0] * 40
