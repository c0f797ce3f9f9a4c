"""AggMo against the recursion written out in numpy float64, and resuming."""

import copy
import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from taut.optim import AggMo

BETAS = (0.0, 0.9, 0.99, 0.999)


def written_out(start: np.ndarray, gradients: list[np.ndarray], lr: float, betas, decay: float) -> np.ndarray:
    """Sum over all earlier gradients, g_s beta^(t-s), without a recursion for the momenta."""
    p, seen = start.copy(), []
    for gradient in gradients:
        seen.append(gradient + decay * p)
        ages = range(len(seen) - 1, -1, -1)
        step = sum(beta**age * g for beta in betas for age, g in zip(ages, seen, strict=True))
        p = p - lr / len(betas) * step
    return p


@pytest.mark.parametrize("betas", [(0.0,), (0.9,), (0.0, 0.9, 0.99), BETAS])
@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_the_update_is_the_mean_of_the_momenta(betas, decay: float) -> None:
    generator = torch.Generator().manual_seed(0)
    start = torch.randn(3, 4, generator=generator, dtype=torch.float64)
    gradients = [torch.randn(3, 4, generator=generator, dtype=torch.float64) for _ in range(20)]
    p = nn.Parameter(start.clone())
    optimizer = AggMo([p], 0.03, betas=betas, weight_decay=decay)
    for gradient in gradients:
        p.grad = gradient.clone()
        optimizer.step()
    expected = written_out(start.numpy(), [g.numpy() for g in gradients], 0.03, betas, decay)
    # 20 steps of a few roundings each, of numbers up to 20 times the gradients
    assert np.abs(p.detach().numpy() - expected).max() <= 1000 * np.finfo(np.float64).eps


def test_one_beta_is_sgd_with_momentum() -> None:
    torch.manual_seed(0)
    ours = nn.Linear(4, 3)
    theirs = copy.deepcopy(ours)
    a = AggMo(ours.parameters(), 0.1, betas=(0.9,), weight_decay=0.01)
    b = torch.optim.SGD(theirs.parameters(), 0.1, momentum=0.9, weight_decay=0.01)
    for batch in torch.rand(10, 8, 4):
        for net, optimizer in ((ours, a), (theirs, b)):
            optimizer.zero_grad()
            net(batch).square().mean().backward()
            optimizer.step()
    assert torch.allclose(ours.weight, theirs.weight, rtol=0, atol=50 * torch.finfo(torch.float32).eps)


def trained(net: nn.Module, optimizer: torch.optim.Optimizer, batches: Tensor) -> None:
    for batch in batches:
        optimizer.zero_grad()
        net(batch).square().mean().backward()
        optimizer.step()


def test_a_state_dict_round_trip_resumes_bit_for_bit() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2).to(torch.float32))
    optimizer = AggMo(net.parameters(), 0.05, betas=BETAS, weight_decay=0.01)
    batches = torch.rand(8, 5, 4)
    trained(net, optimizer, batches[:4])
    twin = copy.deepcopy(net)
    other = AggMo(twin.parameters(), 0.05, betas=BETAS, weight_decay=0.01)
    other.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    fresh = copy.deepcopy(net)
    trained(net, optimizer, batches[4:])
    trained(twin, other, batches[4:])
    trained(fresh, AggMo(fresh.parameters(), 0.05, betas=BETAS, weight_decay=0.01), batches[4:])
    for a, b, c in zip(net.parameters(), twin.parameters(), fresh.parameters(), strict=True):
        assert torch.equal(a, b)
        assert not torch.equal(a, c)


def test_the_state_is_tensors_one_for_each_momentum_that_remembers() -> None:
    p = nn.Parameter(torch.ones(2))
    p.grad = torch.ones(2)
    optimizer = AggMo([p], betas=(0.0, 0.9, 0.99))
    optimizer.step()
    state = optimizer.state[p]
    assert set(state) == {"momentum_1", "momentum_2"}
    assert all(isinstance(value, Tensor) for value in state.values())


def test_groups_dtypes_and_missing_gradients_do_not_disturb_each_other() -> None:
    a, b, c, d = (nn.Parameter(torch.ones(2, dtype=t)) for t in (torch.float32, torch.float64) * 2)
    optimizer = AggMo([{"params": [a, b, c]}, {"params": [d], "lr": 1.0, "betas": (0.0,)}], 0.5, betas=(0.5, 0.0))
    for p in (a, b, d):
        p.grad = torch.ones_like(p)
    optimizer.step()
    assert a.tolist() == b.tolist() == [0.5, 0.5]
    assert c.tolist() == [1.0, 1.0]
    assert d.tolist() == [0.0, 0.0]


def test_a_closure_and_a_scheduler_work_as_for_any_optimizer() -> None:
    p = nn.Parameter(torch.tensor([3.0]))
    optimizer = AggMo([p], 0.1, betas=(0.0,))
    scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = (2.0 * p).sum()
        loss.backward()
        return loss

    assert optimizer.step(closure) == 6.0
    scheduler.step()
    optimizer.step(closure)
    assert p.item() == pytest.approx(3.0 - 0.2 - 0.1)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"lr": -0.1}, "lr must be a finite number that is not negative, got -0.1"),
        ({"lr": math.nan}, "lr must be"),
        ({"lr": math.inf}, "lr must be"),
        ({"weight_decay": -1.0}, "weight_decay must be"),
        ({"betas": ()}, "betas must be one or more numbers"),
        ({"betas": (0.9, 1.0)}, r"betas must be .* got \(0.9, 1.0\)"),
        ({"betas": (-0.1,)}, "betas must be"),
    ],
)
def test_options_that_cannot_be_meant_are_refused(options: dict, reason: str) -> None:
    p = nn.Parameter(torch.ones(1))
    with pytest.raises(ValueError, match=reason):
        AggMo([p], **options)
    with pytest.raises(ValueError, match=reason):
        AggMo([{"params": [p], **options}])


def test_sparse_gradients_are_refused() -> None:
    table = nn.Embedding(4, 2, sparse=True)
    table(torch.tensor([1])).sum().backward()
    with pytest.raises(RuntimeError, match="sparse"):
        AggMo(table.parameters()).step()
