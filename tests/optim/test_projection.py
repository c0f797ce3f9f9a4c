"""`project_` reaches every layer that asks for it, and no other."""

import torch

import taut
from taut import nn as tnn


def test_projects_nested_layers_and_leaves_others() -> None:
    torch.manual_seed(0)
    free = torch.nn.Linear(4, 4)
    net = torch.nn.ModuleList([torch.nn.Sequential(tnn.ParsevalLinear(4, 4)), tnn.BjorckLinear(4, 4), free])
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.mul_(1.1)
    before = {k: v.clone() for k, v in net.state_dict().items()}
    taut.optim.project_(net)
    after = net.state_dict()
    moved = [k for k in before if not torch.equal(before[k], after[k])]
    assert moved == ["0.0.weight"]
    taut.optim.project_(net, exact=True)
    assert taut.lipschitz_bound(net[0]) < 1 + 1e-6
    assert float(torch.linalg.svdvals(net[0][0].weight.detach())[-1]) > 1 - 1e-6
