"""What may start from what, and what older configurations mean."""

import json
from dataclasses import replace

import pytest
import torch

from taut import data
from taut import nn as tnn
from taut.errors import UsageError
from taut.tasks.classification import Config, ModelConfig
from taut.tasks.classification.config import DataConfig
from taut.tasks.classification.parts import build_model, is_constrained
from taut.tasks.classification.start import orthonormal, smallest
from taut.training.serialise import from_plain, to_plain

DIGITS = data.problem("digits")
NEW = {
    "model": ("architecture", "channels", "convolution", "bjorck_steps", "dropout"),
    "data": ("per_class", "subset_seed", "index_file"),
    "optimizer": ("pieces",),
    "evaluation": ("certify",),
}


def test_a_config_from_before_these_options_means_what_it_meant() -> None:
    content = json.loads(json.dumps(to_plain(Config())))
    for section, names in NEW.items():
        for name in names:
            del content[section][name]
    for section in ("updates", "start"):
        del content[section]
    found = from_plain(Config, content, source="old")
    plain = Config()
    assert replace(found, optimizer=plain.optimizer) == plain
    assert (found.model.architecture, found.evaluation.certify, found.start.start_from) == ("mlp", True, None)
    assert (found.updates.project_every, found.updates.clip, found.data.per_class) == ("update", 0.0, 0)


@pytest.mark.parametrize("linear", ["linear", "spectral-norm", "frobenius", "aol", "bjorck"])
def test_bounded_and_free_layers_become_orthogonal(linear: str) -> None:
    found = orthonormal(ModelConfig(linear=linear, head=linear, bjorck_steps=3))
    assert (found.linear, found.head, found.bjorck_steps) == ("bjorck", "bjorck", 0)


@pytest.mark.parametrize("linear", ["cayley", "parseval", "qr"])
def test_orthogonal_layers_and_heads_with_unit_rows_stay(linear: str) -> None:
    found = orthonormal(ModelConfig(linear=linear))
    assert (found.linear, found.head) == (linear, "unit-norm")


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"linear": "linf"}, "cannot make a layer of the kind linf orthogonal"),
        ({"linear": "sandwich"}, "cannot make a layer of the kind sandwich orthogonal"),
        (
            {"architecture": "lenet", "convolution": "conv"},
            "have no constraint at all: train it with --convolution aoc",
        ),
        ({"architecture": "cifar-resnet-20"}, "for the architectures mlp and lenet, not for cifar-resnet-20"),
    ],
)
def test_what_has_no_orthogonal_form_is_refused(options: dict, reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        orthonormal(ModelConfig(**options))


def test_which_networks_have_an_estimate_while_they_train() -> None:
    def built(**options) -> torch.nn.Module:
        return build_model(ModelConfig(width=8, depth=1, **options), DIGITS)

    assert is_constrained(built())
    assert is_constrained(built(linear="parseval", dropout=0.5))
    assert is_constrained(built(architecture="lenet"))
    assert not is_constrained(built(linear="linear"))
    assert not is_constrained(built(architecture="lenet", convolution="conv"))
    assert not is_constrained(torch.nn.Sequential(tnn.BjorckLinear(4, 4), torch.nn.BatchNorm1d(4)))


def test_the_smallest_singular_value_leaves_out_the_head_and_what_has_none() -> None:
    rows = [{"sigma_min": 0.5}, {"sigma_min": None}, {"sigma_min": 0.9}, {"sigma_min": 0.1}, {"sigma_min": None}]
    assert smallest({"layers": rows}) == 0.5
    assert smallest({"layers": []}) is None
    assert smallest({}) is None


def test_one_of_per_class_and_index_file() -> None:
    from pathlib import Path

    with pytest.raises(UsageError, match="give one of per-class and index-file"):
        DataConfig(per_class=3, index_file=Path("a.json"))
    with pytest.raises(UsageError, match="per-class must not be negative, got -1"):
        DataConfig(per_class=-1)
