"""The bracket of W1 beside the quality of a generator."""

from dataclasses import replace

import pytest
import torch

from taut import data
from taut.recipes import recipe
from taut.tasks.gan import measure


def test_the_reference_is_transport_of_as_many_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    moved = []

    def exact_transport(x: torch.Tensor, y: torch.Tensor) -> object:
        moved.append((len(x), len(y)))
        return real_transport(x, y)

    real_transport = measure.exact_transport
    monkeypatch.setattr(measure, "exact_transport", exact_transport)
    monkeypatch.setattr(measure, "_BRACKET_STEPS", 2)
    config = recipe("gan-digits")
    config = replace(config, evaluation=replace(config.evaluation, samples=150, transport_samples=200))
    digits = data.load("digits")
    fake = torch.rand(300, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    found = measure.bracket(config, digits, fake)
    assert found["transport_samples"] == (150, 150)  # half of 300: a critic was trained on the others
    assert moved == [(150, 150)]
