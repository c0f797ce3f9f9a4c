"""Differences of a head's rows: above the exact ones, and worked out for the labels that are met alone."""

from fractions import Fraction

import pytest
import torch

from taut import certify
from taut.certify.samples import claims, head


def head_of(weight: torch.Tensor) -> head.Head:
    linear = torch.nn.Linear(weight.shape[1], weight.shape[0], bias=False)
    with torch.no_grad():
        linear.weight.copy_(weight)
    found = head.head_of(certify.lower(linear, (weight.shape[1],)))
    assert found is not None
    return found


@pytest.mark.parametrize("norm", ["l2", "linf"])
@pytest.mark.parametrize("at_once", [1, 7, 2**16])
def test_differences_of_rows_are_rounded_up(norm: str, at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(head, "_IN_CACHE", at_once)
    weight = torch.randn(5, 3) * torch.logspace(-20, 3, 5)[:, None]
    weight[3] = weight[2]
    exact = [[Fraction(value) for value in row] for row in weight.tolist()]
    for label in range(5):
        found = head.differences(head_of(weight), norm, label)
        assert found.shape == (5,)
        for j, value in enumerate(found.tolist()):
            entries = [abs(a - b) for a, b in zip(exact[label], exact[j], strict=True)]
            if norm == "l2":
                square = sum(entry**2 for entry in entries)
                assert square <= Fraction(value) ** 2 <= square * (1 + Fraction(1, 10**12)) + Fraction(1, 10**200)
            else:
                assert (
                    sum(entries) <= Fraction(value) <= sum(entries) * (1 + Fraction(1, 10**12)) + Fraction(1, 10**100)
                )


def test_labels_that_are_not_met_cost_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def counted(*arguments: object) -> torch.Tensor:
        met.append(arguments[-1])
        return head.differences(*arguments)

    met = []
    monkeypatch.setattr(claims, "differences", counted)
    model, labels = torch.nn.Linear(4, 50), torch.tensor([7, 3, 7, 7, 3, 9])
    one_by_one = certify.robustness(model, torch.randn(6, 4), labels, batch_size=2)
    assert sorted(met) == [3, 7, 9]
    assert len(one_by_one.radius) == 6
