"""What a radius claims: against the exact distance to the border of linear classifiers, and misuse."""

import math

import pytest
import torch
from torch import Tensor, nn

from taut import nn as tnn
from taut.certify import Certificate, robustness
from taut.certify.samples.claims import Question

TIGHT = 1e-6
"""Relative distance of a stated radius from the exact one."""


def linear(classes: int) -> nn.Linear:
    torch.manual_seed(0)
    return nn.Linear(5, classes).double()


def borders(model: nn.Linear, x: Tensor, label: int, norm: str) -> list[float]:
    """Signed distance of a point to where each other class reaches the label's logit, nearest first."""
    weight, logits = model.weight.detach(), model(x).detach()
    found = []
    for other in range(len(weight)):
        if other != label:
            row = weight[label] - weight[other]
            dual = row.norm() if norm == "l2" else row.abs().sum()
            found.append(float((logits[label] - logits[other]) / dual))
    return sorted(found)


@pytest.mark.parametrize("norm", ["l2", "linf"])
@pytest.mark.parametrize("k", [1, 2, 4])
@pytest.mark.parametrize("with_head", [True, False])
def test_top_k_is_the_k_th_border(k: int, norm: str, with_head: bool) -> None:
    model = linear(6)
    x = torch.randn(40, 5, dtype=torch.float64)
    labels = torch.arange(40) % 6
    whole = model if with_head else nn.Sequential(model, nn.Hardtanh(-100.0, 100.0))
    claim = "class" if k == 1 else "top_k"
    certificate = robustness(whole, x, labels, norm=norm, claim=claim, k=k)
    positive = 0
    joint = math.sqrt(2) if norm == "l2" else 2.0
    rows = model.weight.detach()
    constant = float(torch.linalg.matrix_norm(rows, 2) if norm == "l2" else rows.abs().sum(1).max())
    for row, label, radius in zip(x, labels.tolist(), certificate.radius.tolist(), strict=True):
        exact = borders(model, row, label, norm)[k - 1]
        if not with_head:
            logits = model(row).detach()
            gaps = sorted(float(logits[label] - logits[other]) for other in range(6) if other != label)
            assert max(exact, 0.0) >= radius
            exact = gaps[k - 1] / (joint * constant)
        assert max(exact, 0.0) * (1 - TIGHT) <= radius <= max(exact, 0.0)
        positive += radius > 0
    assert 3 < positive < 40
    logits = model(x).detach()
    gaps = logits.gather(1, labels[:, None]) - logits
    ordered = gaps.scatter(1, labels[:, None], math.inf).sort(dim=1).values
    torch.testing.assert_close(certificate.margin, ordered[:, k - 1], rtol=1e-12, atol=1e-12)
    assert certificate.claim == claim
    assert certificate.k == k


def test_top_k_holds_in_the_whole_ball() -> None:
    """Steps straight to the k-th border: k classes may be ahead just beyond the radius, never within."""
    model, k = linear(5), 2
    x = torch.randn(30, 5, dtype=torch.float64)
    labels = torch.zeros(30, dtype=torch.int64)
    radius = robustness(model, x, labels, claim="top_k", k=k).radius
    weight = model.weight.detach()
    for row, r in zip(x, radius.tolist(), strict=True):
        if r == 0:
            continue
        for other in range(1, 5):
            step = weight[other] - weight[0]
            logits = model(row + step / step.norm() * r * (1 - 1e-12)).detach()
            assert int((logits >= logits[0]).sum()) - 1 < k


@pytest.mark.parametrize("norm", ["l2", "linf"])
@pytest.mark.parametrize("threshold", [0.0, -0.7, 100.0])
@pytest.mark.parametrize("kind", ["head", "no head", "no axis"])
def test_sign_is_the_distance_to_the_threshold(kind: str, threshold: float, norm: str) -> None:
    model = linear(1)
    layers = {"head": (), "no head": (nn.Hardtanh(-100.0, 100.0),), "no axis": (nn.Flatten(0),)}[kind]
    whole: nn.Module = nn.Sequential(model, *layers) if kind != "no axis" else Single(model)
    x = torch.randn(30, 5, dtype=torch.float64)
    labels = torch.arange(30) % 2
    certificate = robustness(whole, x, labels, claim="sign", threshold=threshold, norm=norm)
    row = model.weight.detach()[0]
    dual = float(row.norm() if norm == "l2" else row.abs().sum())
    outputs = model(x).detach()[:, 0]
    for output, label, radius, margin, prediction in zip(
        outputs.tolist(),
        labels.tolist(),
        certificate.radius.tolist(),
        certificate.margin.tolist(),
        certificate.prediction.tolist(),
        strict=True,
    ):
        gap = output - threshold if label else threshold - output
        exact = max(gap / dual, 0.0)
        assert exact * (1 - TIGHT) <= radius <= exact
        assert margin == pytest.approx(gap, rel=1e-12)
        assert prediction == int(output > threshold)
    assert bool((certificate.radius > 0).any())


class Single(nn.Module):
    """One number for each sample, without an axis."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x).squeeze(1)


def test_a_sample_at_the_threshold_has_radius_zero() -> None:
    model = nn.Linear(1, 1, bias=False)
    nn.init.ones_(model.weight)
    for label in (0, 1):
        certificate = robustness(model, torch.tensor([[0.5]]), torch.tensor([label]), claim="sign", threshold=0.5)
        assert float(certificate.radius) == 0.0


def body() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(tnn.BjorckLinear(5, 8), tnn.MaxMin(), nn.Linear(8, 4))


def test_batches_are_the_samples_one_by_one() -> None:
    model, x = body(), torch.randn(11, 5)
    labels = model(x).argmax(1)
    whole = robustness(model, x, labels)
    calls: list[tuple[int, int]] = []
    parts = robustness(
        model, x, labels, batch_size=4, device="cpu", progress=lambda done, total: calls.append((done, total))
    )
    assert calls == [(4, 11), (8, 11), (11, 11)]
    single = [robustness(model, x[[at]], labels[[at]]) for at in range(11)]
    for other in (parts.radius, torch.cat([one.radius for one in single])):
        torch.testing.assert_close(other, whole.radius, rtol=1e-9, atol=0)
    assert torch.equal(parts.prediction, whole.prediction)
    assert bool((whole.radius > 0).all())


def test_more_classes_may_be_ahead_and_radii_grow() -> None:
    model, x = body(), torch.randn(20, 5)
    labels = torch.arange(20) % 4
    radii = [robustness(model, x, labels, claim="top_k", k=k).radius for k in (1, 2, 3)]
    assert bool((radii[0] <= radii[1]).all() and (radii[1] <= radii[2]).all())
    assert bool((radii[0] < radii[2]).any())
    assert torch.equal(radii[0], robustness(model, x, labels).radius)


def test_a_head_after_a_convolution_is_taken_row_by_row() -> None:
    torch.manual_seed(0)
    head = nn.Linear(8, 3)
    with torch.no_grad():
        head.weight[2] *= 50.0  # of no concern to the first two classes
        head.bias[2] = -1e6
    shift = nn.Conv1d(1, 1, 3, padding=1, padding_mode="circular", bias=False)
    with torch.no_grad():
        shift.weight.copy_(torch.tensor([[[0.0, 0.0, 1.0]]]))  # an isometry
    net = nn.Sequential(nn.Unflatten(1, (1, 8)), shift, nn.Flatten(), head)
    x = torch.randn(10, 8)
    labels = net(x)[:, :2].argmax(1)
    row = (head.weight[0] - head.weight[1]).detach().double().norm()
    exact = (net.double()(x.double())[:, :2].diff(dim=1).abs()[:, 0] / row).detach()
    radius = robustness(net.float(), x, labels).radius
    torch.testing.assert_close(radius, exact, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"claim": "top_k", "k": 0}, "k must be >= 1"),
        ({"claim": "class", "k": 2}, "and 1 but for top_k, got 2"),
        ({"claim": "sign", "k": 2}, "and 1 but for top_k, got 2"),
        ({"claim": "class", "threshold": 0.5}, "only the claim 'sign' has a threshold, got 0.5"),
        ({"claim": "sign", "threshold": math.inf}, "threshold must be finite, got inf"),
        ({"claim": "sign", "threshold": math.nan}, "threshold must be finite, got nan"),
    ],
)
def test_questions_that_make_no_sense_are_refused(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Question(**options)
    with pytest.raises(ValueError, match=message) as caught:
        robustness(linear(4), torch.ones(1, 5), torch.zeros(1, dtype=torch.int64), **options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("classes", "label", "options", "message"),
    [
        (4, 0, {"claim": "top_k", "k": 4}, "k must be below the number of classes 4, got 4"),
        (4, 0, {"claim": "sign"}, r"a single output per sample, got shape \(4,\)"),
        (1, 0, {}, r"must give logits of shape \(batch, classes >= 2\), got \('batch', 1\)"),
        (1, 2, {"claim": "sign"}, r"labels must be in 0..1, got 2"),
        (4, 4, {}, r"labels must be in 0..3, got 4"),
        (4, -1, {}, r"labels must be in 0..3, got -1"),
        (4, 0, {"batch_size": 0}, "batch_size must be >= 1, got 0"),
        (4, 0, {"norm": "l1"}, "l1"),
    ],
)
def test_claims_that_do_not_fit_the_network_are_refused(classes: int, label: int, options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        robustness(linear(classes), torch.ones(1, 5), torch.tensor([label]), **options)
    assert "\n" not in str(caught.value)


def test_a_pair_of_rows_too_far_apart_for_float64_proves_nothing() -> None:
    """Classes 0 and 1 meet at x = 0.95; the square of the distance of their rows overflows, but not that of a row."""
    model, huge = nn.Linear(1, 3).double(), 8e153
    with torch.no_grad():
        model.weight.copy_(huge * torch.tensor([[1.0], [-1.0], [0.1]], dtype=torch.float64))
        model.bias.copy_(huge * torch.tensor([0.0, 1.9, 0.0], dtype=torch.float64))
    x = torch.ones(1, 1, dtype=torch.float64)
    assert float(robustness(model, x, torch.tensor([0])).radius) <= 0.05


def test_unknown_claims_are_refused() -> None:
    with pytest.raises((ValueError, TypeError), match="best"):  # where types are checked, they say it first
        robustness(linear(4), torch.ones(1, 5), torch.zeros(1, dtype=torch.int64), claim="best")  # type: ignore[arg-type]


def test_claims_are_in_the_file() -> None:
    model, x = linear(4), torch.randn(3, 5, dtype=torch.float64)
    certificate = robustness(model, x, torch.zeros(3, dtype=torch.int64), claim="top_k", k=3)
    assert isinstance(certificate, Certificate)
    assert (certificate.claim, certificate.k, certificate.threshold) == ("top_k", 3, 0.0)
