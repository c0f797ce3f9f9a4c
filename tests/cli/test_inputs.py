"""Inputs that are centred or standardised before the first layer: every radius counts what that does to distances."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from taut import certify, data, models
from taut import nn as tnn
from taut.tasks.classification import ModelConfig
from taut.tasks.classification.parts import build_model, head_constants, input_scale, radius_estimate, set_inputs_

DIGITS = data.load("digits")
SPLIT = data.Split(inputs=DIGITS.test.inputs[:60], labels=DIGITS.test.labels[:60])


@pytest.mark.parametrize("inputs", ["centred", "standardised"])
@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_estimates_and_constants_have_the_scale_that_the_proof_has(inputs: str, norm: str) -> None:
    torch.manual_seed(0)
    linear = "bjorck" if norm == "l2" else "linf"
    config = ModelConfig(width=16, depth=1, inputs=inputs, lipschitz=2.0, linear=linear, head=linear)
    model = build_model(config, DIGITS.problem)
    set_inputs_(model, DIGITS.train)
    plain = tnn.fold(model).eval()
    scale = input_scale(plain, config)
    assert scale == input_scale(model, config)
    assert (scale == 1.0) is (inputs == "centred")
    if inputs == "standardised":
        assert abs(scale * float(DIGITS.train.inputs.std(correction=0)) - 1) < 1e-5
    with torch.no_grad():
        logits = plain(SPLIT.inputs)
        constants = [
            head_constants(model, config, norm=norm)(10),
            head_constants(plain, config, norm=norm, folded=True)(10),
        ]
        estimate = radius_estimate(logits, SPLIT.labels, constants[1])
    proven = certify.robustness(plain, SPLIT.inputs, SPLIT.labels, norm=norm).radius
    assert int((proven > 0).sum()) > 0
    assert torch.allclose(estimate.double(), proven, rtol=1e-3, atol=1e-6)
    assert torch.allclose(*constants, rtol=1e-4)


def test_constrained_and_plain_architectures_take_them_and_another_word_is_refused() -> None:
    for name in ("lenet", "resnet-18"):
        network = models.classifiers()[name](
            (3, 32, 32), 10, models.ClassifierOptions(channels=4, width=8, inputs="standardised")
        )
        assert isinstance(network[0], models.Standardise), name
    with pytest.raises(ValueError, match="inputs must be one of as-is, centred, standardised, got 'whitened'"):
        models.classifiers()["mlp"]((4,), 2, models.ClassifierOptions(inputs="whitened"))


def test_a_run_with_them_ends_certified_and_comes_back_from_its_folder(
    taut: Callable, tiny: list[str], tmp_path: Path
) -> None:
    run, out = tmp_path / "run", tmp_path / "out"
    options = ["--inputs", "standardised", "--worst-case", "emma", "--radius", "0.1", "--certificate", "0.1"]
    assert taut("train", "digits", *tiny, *options, "--out", run).code == 0
    assert taut("export", run, "--out", out).code == 0
    import taut as library

    model = library.load(out).model
    first = next(module for module in model.modules() if isinstance(module, torch.nn.Conv2d))
    assert float(first.weight.detach().abs().max()) > 2
    assert taut("verify", run / "certificate.json").code == 0
