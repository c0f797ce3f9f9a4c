"""Certificates as taut writes them, proven by the verifier from the files alone."""

import json

import numpy as np
import pytest
import torch
from torch import nn

import taut
from taut import nn as tnn
from taut.verifier import VerificationError, read_network, read_samples, verify
from taut.verifier.files import parse_json


class Branches(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.point, self.head = nn.Conv2d(3, 3, 3, padding=1), nn.Conv2d(3, 3, 1), nn.Linear(108, 4)

    def forward(self, x):
        y = torch.relu(self.conv(x))
        z = torch.cat([x[:, :1], self.point(y)[:, 1:]], 1)
        return self.head((z + torch.maximum(x, y)).flatten(1))


NETWORKS = {
    "dense": (lambda: nn.Sequential(tnn.BjorckLinear(4, 8), tnn.MaxMin(), tnn.UnitNormLinear(8, 3)), (4,)),
    "bfloat16": (lambda: nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3)).bfloat16(), (4,)),
    "images": (
        lambda: nn.Sequential(
            nn.Conv2d(2, 4, 3, stride=2, padding=1, padding_mode="circular"),
            nn.Tanh(),
            nn.Conv2d(4, 4, 3, padding=1, groups=2),
            nn.AvgPool2d(2),
            nn.Flatten(),
            nn.Linear(16, 3),
        ),
        (2, 8, 8),
    ),
    "branches": (Branches, (3, 6, 6)),
    "sll": (lambda: nn.Sequential(tnn.SLLLinear(6, 9), tnn.SLLLinear(9, 4)), (6,)),
    "sandwich": (lambda: nn.Sequential(tnn.SandwichLinear(6, 8), tnn.SandwichLinear(8, 4)), (6,)),
    "soc": (
        lambda: nn.Sequential(tnn.SOCConv2d(3, 6, 3, padding=1), tnn.MaxMin(), nn.Flatten(), nn.Linear(216, 4)),
        (3, 6, 6),
    ),
    "distances": (lambda: nn.Sequential(tnn.LInfDistLinear(6, 8), tnn.LInfDistLinear(8, 4)), (6,)),
}


@pytest.mark.parametrize("norm", ["l2", "linf"])
@pytest.mark.parametrize("name", NETWORKS)
def test_files_of_taut_are_proven_and_a_flipped_digit_is_not(name, norm, tmp_path):
    make, shape = NETWORKS[name]
    torch.manual_seed(0)
    network, inputs = make().eval(), torch.randn(6, *shape)
    labels = network(inputs.to(next(network.parameters()).dtype)).argmax(1)
    taut.certify.robustness(network, inputs, labels, norm=norm).save(tmp_path / "certificate.json")
    taut.certify.save_program(taut.certify.lower(network, shape), tmp_path / "network.safetensors")
    np.savez(tmp_path / "samples.npz", inputs=inputs.numpy(), labels=labels.numpy())
    certificate = parse_json((tmp_path / "certificate.json").read_bytes(), "the certificate")
    program, samples = read_network(tmp_path / "network.safetensors"), read_samples(tmp_path / "samples.npz")
    verify(certificate, program, *samples)
    assert sum(float(r) > 0 for r in certificate["radius"]) > 0
    for key in ("radius", "margin", "lipschitz_bound"):
        changed = json.loads(json.dumps(certificate))
        if key == "lipschitz_bound":
            changed[key] *= 1 - 2.0**-50
        else:
            changed[key][-1] = changed[key][-1] * 1.0001 + 1e-9
        with pytest.raises(VerificationError, match="checksum"):
            verify(changed, program, *samples)
    raw = bytearray((tmp_path / "network.safetensors").read_bytes())
    raw[-1] ^= 1
    (tmp_path / "network.safetensors").write_bytes(raw)
    with pytest.raises(VerificationError, match="model"):
        verify(certificate, read_network(tmp_path / "network.safetensors"), *samples)
