"""The measures of generated pictures where their values are known, and the classifier behind them on real digits."""

import math
import sys

import numpy as np
import pytest
import scipy.linalg
import torch
from torch import Tensor

from taut.data import Split, load
from taut.tasks.gan.quality import Classifier, frechet_distance, measure, precision_recall, train_classifier
from taut.tasks.gan.quality.classifier import _turned

EPS = np.finfo(np.float64).eps


def sample_with(mean: Tensor, factor: Tensor, count: int = 50) -> Tensor:
    """Samples whose mean and unbiased covariance, factor factor^T, are exact to rounding."""
    drawn = torch.randn(count, len(mean), dtype=torch.float64)
    centred = drawn - drawn.mean(0)
    white = torch.linalg.qr(centred).Q * math.sqrt(count - 1)
    return white @ factor.mT + mean


def test_frechet_distance_of_gaussians_with_common_axes() -> None:
    torch.manual_seed(0)
    axes = torch.linalg.qr(torch.randn(4, 4, dtype=torch.float64)).Q
    a, b = torch.tensor([1.0, 2.0, 0.5, 3.0]).double(), torch.tensor([1.5, 2.0, 4.0, 0.1]).double()
    shift = torch.tensor([1.0, -2.0, 0.0, 0.5]).double()
    x, y = sample_with(torch.zeros(4).double(), axes * a), sample_with(shift, axes * b)
    expected = float(shift.square().sum() + (a - b).square().sum())
    assert frechet_distance(x, y) == pytest.approx(expected, rel=1000 * EPS)


@pytest.mark.parametrize("count", [40, 5])
def test_frechet_distance_against_the_square_root_of_the_product(count: int) -> None:
    """Five samples of eight features have singular covariances."""
    torch.manual_seed(count)
    x, y = torch.randn(count, 8).double(), torch.randn(count, 8).double() @ torch.randn(8, 8).double() + 1
    a, b = np.cov(x.numpy().T), np.cov(y.numpy().T)
    # singular values of the product of square roots are what is under the trace, by another route than eigenvalues
    shared = scipy.linalg.svdvals(np.real(scipy.linalg.sqrtm(a)) @ np.real(scipy.linalg.sqrtm(b))).sum()
    expected = float((x.mean(0) - y.mean(0)).square().sum()) + np.trace(a) + np.trace(b) - 2 * shared
    assert frechet_distance(x, y) == pytest.approx(expected, rel=1e3 * math.sqrt(EPS))
    assert frechet_distance(x, y) == pytest.approx(frechet_distance(y, x), rel=1e3 * math.sqrt(EPS))


def test_frechet_distance_of_equal_sets_is_nothing_and_of_moved_ones_the_square_of_the_way() -> None:
    torch.manual_seed(0)
    x = torch.randn(30, 5)
    assert frechet_distance(x, x.flip(0)) <= 1000 * EPS * float(x.square().sum())
    assert frechet_distance(x.double(), x.double() + 3.0) == pytest.approx(5 * 9, rel=1000 * EPS)


def brute_force(real: list, fake: list, k: int) -> tuple[float, float]:
    def share(x: list, centres: list) -> float:
        radii = [
            sorted(math.dist(c, other) for j, other in enumerate(centres) if j != i)[k - 1]
            for i, c in enumerate(centres)
        ]
        return sum(any(math.dist(p, c) <= r for c, r in zip(centres, radii, strict=True)) for p in x) / len(x)

    return share(fake, real), share(real, fake)


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("chunk", [2**22, 64])
def test_precision_and_recall_by_brute_force(k: int, chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["taut.tasks.gan.quality.precision_recall"], "_CHUNK", chunk)
    torch.manual_seed(k)
    real, fake = torch.randn(40, 3).double(), 0.7 * torch.randn(25, 3).double() + 0.5
    expected = brute_force(real.tolist(), fake.tolist(), k)
    assert precision_recall(real, fake, neighbours=k) == pytest.approx(expected, abs=1e-12)
    assert 0 < expected[1] < expected[0] < 1  # so the two are told apart


def test_equal_sets_have_all_and_distant_ones_nothing_in_common() -> None:
    torch.manual_seed(0)
    x = torch.randn(50, 4)
    assert precision_recall(x, x.flip(0)) == (1.0, 1.0)
    assert precision_recall(x, x + 100) == (0.0, 0.0)


def test_samples_that_occur_often_count_as_equal() -> None:
    """Their balls have the radius 0, in which they lie themselves."""
    torch.manual_seed(0)
    x = 100 * torch.randn(12, 64).repeat_interleave(5, 0)  # by products, distances are noise of 0.1
    assert precision_recall(x, x.flip(0)) == (1.0, 1.0)
    assert precision_recall(x, x + 1e-2) == (0.0, 0.0)


def test_a_dropped_mode_lowers_recall_and_not_precision() -> None:
    torch.manual_seed(0)
    centres = 50 * torch.eye(4).repeat_interleave(100, 0)
    real, whole = centres + torch.randn(400, 4), centres + torch.randn(400, 4)
    dropped = 50 * torch.eye(4)[:2].repeat_interleave(200, 0) + torch.randn(400, 4)
    (precision_whole, recall_whole), (precision, recall) = (
        precision_recall(real, whole),
        precision_recall(real, dropped),
    )
    assert precision > 0.8
    assert abs(precision - precision_whole) < 0.1  # four standard errors of a share of 400 near 0.9 are 0.06
    assert recall_whole > 0.8
    assert 0.4 < recall <= 0.5


@pytest.mark.parametrize("measured", [frechet_distance, precision_recall])
@pytest.mark.parametrize(
    ("x", "y", "reason"),
    [
        (torch.zeros(9, 2), torch.zeros(9, 3), "one size, got 2 and 3"),
        (torch.zeros(9, 2), torch.zeros(1, 2), "needs at least .* samples, got 9 and 1"),
        (torch.zeros(9, 2), torch.full((9, 2), math.nan), "NaN or infinite"),
    ],
)
def test_features_that_cannot_be_compared_are_refused(measured, x: Tensor, y: Tensor, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        measured(x, y)


def test_no_neighbours_are_refused() -> None:
    with pytest.raises(ValueError, match="neighbours must be at least 1, got 0"):
        precision_recall(torch.zeros(9, 2), torch.zeros(9, 2), neighbours=0)


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    digits = load("digits")
    return train_classifier(digits.train, digits.test, classes=10, steps=100)


def test_it_learns_digits_and_says_so(classifier: Classifier) -> None:
    digits = load("digits")
    logits = classifier.head(classifier.features(digits.test.inputs))
    right = float((logits.argmax(1) == digits.test.labels).double().mean())
    assert classifier.accuracy == pytest.approx(right, abs=1e-12)
    assert classifier.accuracy > 0.9
    assert f"on {len(digits.train)} training pictures to tell 10 classes apart" in classifier.description


def test_the_same_seed_gives_the_same_network_and_leaves_the_global_stream_alone() -> None:
    digits = load("digits")
    features = []
    for seed, before in ((0, 1), (0, 2), (1, 1)):
        torch.manual_seed(before)
        state = torch.get_rng_state()
        made = train_classifier(digits.train, digits.test, classes=10, steps=3, seed=seed)
        assert torch.equal(state, torch.get_rng_state())
        features.append(made.features(digits.test.inputs[:9], batch_size=4))
    assert torch.equal(features[0], features[1])
    assert not torch.equal(features[0], features[2])


def test_it_tells_of_its_progress() -> None:
    digits, seen = load("digits"), []
    train_classifier(digits.train, digits.test, classes=10, steps=3, progress=lambda *done: seen.append(done))
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_without_classes_it_learns_how_pictures_are_turned() -> None:
    digits = load("digits")
    one = [Split(inputs=s.inputs, labels=torch.zeros_like(s.labels)) for s in (digits.train, digits.test)]
    made = train_classifier(*one, classes=1, steps=120)
    right = 0
    for turn in range(4):
        turned = torch.from_numpy(np.rot90(digits.test.inputs.numpy(), turn, (2, 3)).copy())
        right += int((made.head(made.features(turned)).argmax(1) == turn).sum())
    assert made.accuracy == pytest.approx(right / (4 * len(digits.test)), abs=1e-12)
    assert made.accuracy > 0.8
    assert "by how many quarter turns (0, 1, 2, 3) a picture was turned" in made.description


def test_pictures_that_are_not_square_are_turned_by_half() -> None:
    half = Split(inputs=torch.rand(10, 3, 8, 12), labels=torch.zeros(10, dtype=torch.int64))
    assert "(0, 2)" in train_classifier(half, half, classes=1, steps=1).description
    turned = _turned(half.inputs, torch.tensor([0, 1] * 5), (0, 2))
    assert torch.equal(turned[0], half.inputs[0])
    assert torch.equal(turned[1], half.inputs[1].flip(1, 2))


@pytest.mark.parametrize(
    ("shape", "steps", "reason"),
    [
        ((64,), 1, r"needs the shape \(channels, height, width\)"),
        ((1, 2, 2), 1, r"\(1, 2, 2\)"),
        ((1, 8, 8), 0, "got 0"),
    ],
)
def test_what_it_cannot_learn_from_is_refused(shape: tuple[int, ...], steps: int, reason: str) -> None:
    half = Split(inputs=torch.rand(4, *shape), labels=torch.tensor([0, 1, 0, 1]))
    with pytest.raises(ValueError, match=reason):
        train_classifier(half, half, classes=2, steps=steps)


def test_the_measures_of_held_out_pictures_themselves_and_of_a_few_digits(classifier: Classifier) -> None:
    digits = load("digits")
    train, held_out = digits.train.inputs, digits.test.inputs
    perfect = measure(classifier, train, held_out, held_out)
    assert perfect["samples"] == len(held_out)
    assert perfect["frechet"] <= 1e-3 * perfect["reference"]["frechet"]
    assert (perfect["precision"], perfect["recall"]) == (1.0, 1.0)
    assert perfect["feature_accuracy"] == classifier.accuracy
    few = measure(classifier, train, held_out, train[digits.train.labels < 4])
    assert few["reference"] == perfect["reference"]
    assert few["frechet"] > 10 * few["reference"]["frechet"]
    assert few["recall"] < 0.75 * few["reference"]["recall"]
    assert few["precision"] > 0.5


def test_equally_many_of_each_are_drawn_at_random(classifier: Classifier) -> None:
    digits = load("digits")
    by_seed = [
        measure(classifier, digits.train.inputs, digits.test.inputs, digits.train.inputs, samples=50, seed=s)
        for s in (0, 0, 1)
    ]
    assert by_seed[0]["samples"] == 50
    assert by_seed[0] == by_seed[1]
    assert by_seed[0]["frechet"] != by_seed[2]["frechet"]
