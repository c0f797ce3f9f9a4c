"""Slow weights follow their formula for every optimizer, are saved with it, and leave constraints alone."""

import copy

import pytest
import torch
from torch import nn

import taut
from taut import nn as tnn
from taut.optim import AggMo, LookaheadHook

RULES = {
    "sgd": lambda p: torch.optim.SGD(p, lr=0.1),
    "momentum": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9),
    "adam": lambda p: torch.optim.Adam(p, lr=0.1),
    "adamw": lambda p: torch.optim.AdamW(p, lr=0.1),
    "aggmo": lambda p: AggMo(p, lr=0.1),
}


def step(net: nn.Module, optimizer: torch.optim.Optimizer, number: int) -> None:
    x = torch.randn(8, 3, generator=torch.Generator().manual_seed(number))
    optimizer.zero_grad()
    net(x).square().sum().backward()
    optimizer.step()


@pytest.mark.parametrize("rule", RULES)
def test_every_third_step_goes_back_part_of_the_way(rule: str) -> None:
    torch.manual_seed(0)
    net = nn.Linear(3, 2)
    other = copy.deepcopy(net)
    optimizer, plain = RULES[rule](net.parameters()), RULES[rule](other.parameters())
    LookaheadHook(optimizer, every=3, share=0.25)
    slow = [p.detach().clone() for p in other.parameters()]
    for number in range(1, 8):
        step(net, optimizer, number)
        step(other, plain, number)
        if number % 3 == 0:
            with torch.no_grad():
                for start, p in zip(slow, other.parameters(), strict=True):
                    start += 0.25 * (p - start)
                    p.copy_(start)
        for mine, theirs in zip(net.parameters(), other.parameters(), strict=True):
            assert torch.allclose(mine, theirs, atol=8 * torch.finfo(torch.float32).eps), number


def test_it_goes_on_from_its_state_and_can_be_removed() -> None:
    torch.manual_seed(0)
    net = nn.Linear(3, 2)
    optimizer = RULES["adam"](net.parameters())
    hook = LookaheadHook(optimizer, every=3)
    for number in range(4):
        step(net, optimizer, number)
    again = copy.deepcopy(net)
    restored = RULES["adam"](again.parameters())
    LookaheadHook(restored, every=3)
    restored.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    for number in range(4, 8):
        step(net, optimizer, number)
        step(again, restored, number)
    assert all(torch.equal(a, b) for a, b in zip(net.parameters(), again.parameters(), strict=True))
    hook.remove()
    slow = optimizer.state[net.weight]["slow"].clone()
    for number in range(3):
        step(net, optimizer, number)
    assert torch.equal(optimizer.state[net.weight]["slow"], slow)


def test_a_constrained_layer_keeps_its_constraint() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(tnn.BjorckLinear(3, 4), tnn.MaxMin(), tnn.BjorckLinear(4, 2))
    optimizer = torch.optim.Adam(net.parameters(), lr=0.5)
    LookaheadHook(optimizer, every=2)
    for number in range(5):
        step(net, optimizer, number)
        assert taut.lipschitz_bound(net) < 1 + 1e-5


@pytest.mark.parametrize("options", [{"every": 0}, {"every": True}, {"share": 0.0}, {"share": 1.5}])
def test_what_makes_no_sense_is_refused(options: dict) -> None:
    with pytest.raises(ValueError, match="must be"):
        LookaheadHook(torch.optim.SGD(nn.Linear(1, 1).parameters(), lr=1.0), **options)
