"""The nearest sample of another label, against all distances in float64."""

import pytest
import torch

from taut.data import Nearest, nearest, nearest_other_label

EPS = torch.finfo(torch.float64).eps


def brute_force(x, labels, y, other_labels, norm: str) -> tuple[torch.Tensor, torch.Tensor]:
    difference = x.double().flatten(1)[:, None] - y.double().flatten(1)[None]
    distance = difference.square().sum(dim=2).sqrt() if norm == "l2" else difference.abs().amax(dim=2)
    distance = distance.masked_fill(labels[:, None] == other_labels, torch.inf)
    smallest = distance.amin(dim=1)
    first = [torch.nonzero(row == low)[0].item() for row, low in zip(distance, smallest, strict=True)]
    return smallest, torch.tensor(first)


def check(found: Nearest, distance: torch.Tensor, index: torch.Tensor, entries: int) -> None:
    assert torch.allclose(found.distance, distance, rtol=4 * entries * EPS, atol=0.0)
    assert torch.equal(found.index, index)


@pytest.mark.parametrize("norm", ["l2", "linf"])
@pytest.mark.parametrize("chunk", [7, 4000])
def test_random_pictures(norm: str, chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nearest, "_COLUMNS", chunk)
    monkeypatch.setattr(nearest, "_ROWS", 5)
    torch.manual_seed(0)
    x, y = torch.rand(33, 1, 4, 5), torch.rand(120, 1, 4, 5)
    labels, others = torch.randint(0, 4, (33,)), torch.randint(0, 4, (120,))
    told: list[int] = []
    found = nearest_other_label(x, labels, y, others, norm=norm, progress=told.append)
    check(found, *brute_force(x, labels, y, others, norm), 20)
    assert told == sorted(told)
    assert told[-1] == 33
    assert found.rechecked == 0


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_of_ties_the_first_wins(norm: str) -> None:
    """On a grid of whole numbers most distances are attained many times, by more than the candidates."""
    torch.manual_seed(1)
    x, y = torch.randint(0, 3, (25, 4)).float(), torch.randint(0, 3, (300, 4)).float()
    labels, others = torch.randint(0, 3, (25,)), torch.randint(0, 3, (300,))
    found = nearest_other_label(x, labels, y, others, norm=norm)
    check(found, *brute_force(x, labels, y, others, norm), 4)
    assert found.rechecked > 0


def test_rounding_of_the_products_does_not_choose() -> None:
    """Far from the origin float32 products lose all digits of the distances; the answer must not notice."""
    torch.manual_seed(2)
    x, y = 1000 + torch.rand(20, 3), 1000 + torch.rand(200, 3)
    labels, others = torch.zeros(20, dtype=torch.int64), torch.ones(200, dtype=torch.int64)
    found = nearest_other_label(x, labels, y, others)
    check(found, *brute_force(x, labels, y, others, "l2"), 3)
    assert found.rechecked == 20


def test_only_other_labels_count() -> None:
    x, y = torch.tensor([[0.0], [1.0]]), torch.tensor([[0.0], [5.0]])
    found = nearest_other_label(x, torch.tensor([0, 1]), y, torch.tensor([0, 0]))
    assert found.distance.tolist() == [torch.inf, 1.0]
    assert found.index.tolist() == [-1, 0]


@pytest.mark.parametrize(
    ("inputs", "labels", "norm", "reason"),
    [
        (torch.zeros(2, 3), torch.zeros(2).long(), "l1", "norm must be 'l2' or 'linf', got 'l1'"),
        (torch.full((2, 3), torch.nan), torch.zeros(2).long(), "l2", "finite values are needed"),
    ],
)
def test_what_cannot_be_meant(inputs: torch.Tensor, labels: torch.Tensor, norm: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        nearest_other_label(inputs, labels, torch.zeros(2, 3), torch.zeros(2).long(), norm=norm)
