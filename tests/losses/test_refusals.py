"""Penalties that would be 0 or wrong without a word are refused."""

import pytest
import torch
from torch import nn

from taut import losses
from taut import nn as tnn


@pytest.mark.parametrize("kind", [tnn.BatchCentering, tnn.BatchLipNorm, nn.BatchNorm1d])
def test_statistics_of_the_batch_are_refused_in_training_and_taken_in_evaluation(kind: type[nn.Module]) -> None:
    torch.manual_seed(0)
    model, x = nn.Sequential(nn.Linear(3, 4), kind(4), nn.Linear(4, 1)), torch.rand(8, 3)
    for penalty in (
        lambda: losses.jacobian_penalty(model.train(), x),
        lambda: losses.gradient_penalty(model.train(), x, x.flip(0), generator=torch.Generator().manual_seed(0)),
    ):
        with pytest.raises(ValueError, match=f"{kind.__name__}.* mixes samples"):
            penalty()
    assert float(losses.jacobian_penalty(model.eval(), x).detach()) > 0.01


def test_instance_norm_is_taken_for_it_looks_at_one_sample() -> None:
    model = nn.Sequential(nn.InstanceNorm1d(2, track_running_stats=True), nn.Flatten(), nn.Linear(6, 1)).train()
    losses.jacobian_penalty(model, torch.rand(4, 2, 3))


def test_functions_without_a_gradient_are_refused() -> None:
    x = torch.rand(4, 3)
    for hidden in (lambda x: x.detach().sum(1), lambda x: torch.ones(len(x), requires_grad=True) * 2):
        for penalty in (losses.lipschitz_penalty, losses.finite_difference_penalty, losses.jacobian_penalty):
            with pytest.raises(ValueError, match="no gradient with respect to its input"):
                penalty(hidden, x)


def test_one_number_for_a_sample_needs_no_dimension_of_its_own() -> None:
    weight = torch.tensor([3.0, 4.0])
    x = torch.rand(5, 2)
    assert torch.allclose(losses.jacobian_norm_estimate(lambda x: x @ weight, x).detach(), torch.tensor(5.0))
    assert torch.allclose(losses.jacobian_norm_estimate(lambda x: -2 * x, torch.rand(5)).detach(), torch.tensor(2.0))
    assert float(losses.lipschitz_penalty(lambda x: 3 * x, torch.rand(5)).detach()) == 3.0


def test_certificates_of_odd_heads() -> None:
    labels = torch.zeros(2, dtype=torch.int64)
    for logits in (torch.rand(2, 1), torch.rand(0, 3)):
        with pytest.raises(ValueError, match="one sample or more and two classes or more"):
            losses.certificate_regularisation(logits, labels[: len(logits)])
    logits = torch.tensor([[1.0, 0.5, 0.0], [0.0, 0.5, 1.0]])
    head = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    # class 1 has the row of class 0: it never overtakes it, and where it is ahead the sample is lost
    assert losses.certificate_regularisation(logits, labels, head).item() == pytest.approx(-(1 / 2**0.5) / 2)
    assert losses.certificate_regularisation(logits[:1, :2], labels[:1], head[:2]).item() == 0.0
    half = losses.certificate_regularisation(logits, labels, head.half())
    assert half.item() == pytest.approx(-(1 / 2**0.5) / 2)


def test_trades_takes_logits_of_one_shape() -> None:
    with pytest.raises(ValueError, match="one shape"):
        losses.trades_loss(torch.rand(2, 2), torch.rand(1, 2), torch.zeros(2, dtype=torch.int64))
