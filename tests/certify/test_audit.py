"""The audit: one row per layer, its constant between two ends, and the network's."""

import json
import time

import pytest
import torch
from torch import Tensor, nn

from plain_resnet import ResNet
from taut import nn as tnn
from taut.certify import audit, estimate, lipschitz_bound

NORMS = pytest.mark.parametrize("norm", ["l2", "linf"])
PROVEN, PAIR = "checked vector", "pair of points"


def network() -> nn.Module:
    torch.manual_seed(0)
    return tnn.Sequential(tnn.BjorckLinear(6, 8), tnn.MaxMin(), tnn.UnitNormLinear(8, 3), lipschitz=2.0)


@NORMS
def test_rows_are_the_layers_in_order_with_proven_and_computed_values(norm: str) -> None:
    model = network()
    found = audit(model, norm=norm)
    assert [(row.name, row.kind) for row in found.rows] == [
        ("0", "BjorckLinear"),
        ("1", "MaxMin"),
        ("2", "UnitNormLinear"),
    ]
    assert found.bound == lipschitz_bound(model, norm=norm)
    for row, layer in zip(found.rows, model.children(), strict=True):
        assert row.seconds >= 0.0
        if not isinstance(layer, nn.Linear):
            assert (row.sigma_min, row.sigma_max, row.bound, row.method) == (None, None, 1.0, "by construction")
            assert row.lower_method == PAIR
            assert 1.0 - 1e-6 <= row.lower <= 1.0
            continue
        weight = layer.weight.detach().double()
        exact = float(torch.linalg.matrix_norm(weight, ord=2 if norm == "l2" else torch.inf))
        assert row.bound == pytest.approx(exact, rel=1e-8)
        assert row.lower == pytest.approx(exact, rel=1e-12)
        assert row.lower <= row.bound
        assert row.lower_method == PROVEN
        values = torch.linalg.svdvals(weight)
        assert row.sigma_max == pytest.approx(float(values[0]), rel=1e-12)
        assert row.sigma_min == pytest.approx(float(values[-1]), rel=1e-12)


@NORMS
def test_a_residual_network_is_bracketed_layer_by_layer(norm: str) -> None:
    torch.manual_seed(0)
    model = ResNet()
    for _ in range(3):
        model(torch.randn(8, 3, 33, 33))
    found = audit(model.eval(), input_shape=(3, 33, 33), norm=norm, search_seconds=8.0)
    assert found.bound == lipschitz_bound(model, input_shape=(3, 33, 33), norm=norm)
    assert 0.0 < found.lower < found.bound
    for row in found.rows:
        assert 0.0 < row.lower <= row.bound * (1 + 1e-12), row
        assert row.lower_method == (PROVEN if row.kind in ("Conv2d", "Linear") else PAIR)
        if row.kind != "AdaptiveAvgPool2d":
            assert row.lower >= 0.8 * row.bound, row


def test_lower_ends_are_those_at_the_size_of_the_images() -> None:
    """On images of one pixel only the middle of the kernel counts, which a larger image would hide."""
    layer = nn.Conv2d(1, 1, 3, padding=1)
    nn.init.ones_(layer.weight)
    (row,) = audit(layer, input_shape=(1, 1, 1)).rows
    assert row.lower == pytest.approx(1.0, rel=1e-12)
    (row,) = audit(layer, input_shape=(1, 2, 2)).rows
    assert row.lower == pytest.approx(4.0, rel=1e-12)
    (row,) = audit(layer).rows
    assert 8.0 < row.lower <= row.bound


def test_the_network_is_searched_from_the_inputs_that_are_given() -> None:
    class Step(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return (x - 40.0).clamp(0.0, 1.0)

        def lipschitz_constant(self, norm: str) -> float:
            return 1.0

    far, near = torch.randn(16, 2), torch.randn(16, 2) + 40.0
    assert audit(Step(), inputs=far).lower == 0.0
    found = audit(Step(), inputs=near)
    assert found.lower == pytest.approx(1.0, rel=1e-6)
    assert found.searched == "from 16 given inputs"
    assert "random normal" in audit(Step(), input_shape=(2,)).searched
    again = estimate(Step(), near, evaluations=2000)
    assert again.value == pytest.approx(found.lower, rel=1e-6)


def test_without_a_shape_the_layers_are_bracketed_and_the_network_is_not() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU())
    found = audit(model)
    assert (found.lower, found.estimate) == (None, None)
    assert "shape of its input is not known" in str(found)
    assert 0.8 * found.rows[0].bound < found.rows[0].lower <= found.rows[0].bound
    assert found.rows[1].lower is None


def test_without_search_nothing_is_looked_for_and_the_proofs_are_the_same() -> None:
    plain = audit(network(), search_seconds=0.0)
    assert plain.lower is None
    assert all(row.lower is None and row.lower_method is None for row in plain.rows)
    assert plain.bound == audit(network()).bound
    assert "No search." in str(plain)


def test_the_search_keeps_to_its_seconds() -> None:
    torch.manual_seed(0)
    model = ResNet(width=16, depths=(2, 2)).eval()
    start = time.monotonic()
    audit(model, input_shape=(3, 64, 64), search_seconds=0.0)
    proofs = time.monotonic() - start
    start = time.monotonic()
    audit(model, input_shape=(3, 64, 64), search_seconds=1.0)
    assert time.monotonic() - start < 3.0 * proofs + 8.0


def test_the_table_is_aligned_and_rounded_outward() -> None:
    found = audit(network())
    lines = str(found).splitlines()
    assert len(lines) == 2 + 3 + 2 + 1 + 3
    assert lines[0].split("  ")[0] == "layer"
    for title in ("at least (l2)", "at most (l2)", "sigma min", "seconds"):
        end = lines[0].index(title) + len(title)
        assert all(line[end : end + 2].strip() == "" for line in lines[:7])
    name, lower, upper = lines[6].split()[:3]
    assert name == "(network)"
    assert found.bound <= float(upper) <= found.bound * (1 + 1e-8)
    assert found.lower * (1 - 1e-8) <= float(lower) <= found.lower
    assert "random normal inputs" in lines[-2]


def test_the_dictionary_is_plain_json() -> None:
    found = audit(network(), norm="linf")
    content = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert (content["norm"], content["bound"], content["lower"]) == ("linf", found.bound, found.lower)
    assert content["estimate"]["evaluations"] == found.estimate.evaluations
    assert content["layers"][0] == {
        "name": "0",
        "kind": "BjorckLinear",
        "bound": found.rows[0].bound,
        "lower": found.rows[0].lower,
        "lower_method": PROVEN,
        "sigma_min": found.rows[0].sigma_min,
        "sigma_max": found.rows[0].sigma_max,
        "method": "row sums",
        "seconds": found.rows[0].seconds,
    }


def test_a_layer_that_is_used_twice_has_two_rows() -> None:
    layer = nn.Linear(3, 3)
    first, _, second = audit(nn.Sequential(layer, nn.ReLU(), layer)).rows
    assert (first.bound, first.lower) == (second.bound, second.lower)
    (row,) = audit(layer).rows
    assert row.name == "(model)"
    assert row.lower == first.lower


def test_each_use_of_a_layer_is_looked_at_where_it_stands() -> None:
    layer = nn.Conv2d(1, 1, 3, padding=1)
    nn.init.ones_(layer.weight)
    model = nn.Sequential(layer, nn.AdaptiveAvgPool2d(1), layer)
    first, _, second = audit(model, input_shape=(1, 2, 2)).rows
    assert (first.lower, second.lower) == (pytest.approx(4.0, rel=1e-12), pytest.approx(1.0, rel=1e-12))


def test_what_is_done_is_told() -> None:
    told: list[tuple[str, float]] = []
    audit(network(), progress=lambda what, share: told.append((what, share)))
    assert [what for what, share in told if not share][:2] == [
        "proving the bound of each layer",
        "looking for lower bounds of the layers",
    ]
    assert told[-1][1] > 0.9


def test_what_has_no_rule_is_refused() -> None:
    with pytest.raises(TypeError, match="LSTM"):
        audit(nn.Sequential(nn.LSTM(2, 2)))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"search_seconds": -1.0}, "search_seconds must be >= 0, got -1.0"),
        ({"inputs": torch.full((2, 6), torch.nan)}, "NaN or infinity"),
        ({"inputs": torch.zeros(2, 5)}, r"does not take a sample of shape \(5,\)"),
    ],
)
def test_wrong_arguments_are_named(options: dict, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        audit(network(), **options)


def test_the_networks_bound_can_be_that_of_a_chain() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 2))
    product, tighter = (audit(net, method=method, search_seconds=0.0) for method in ("product", "lipsdp"))
    assert tighter.bound < 0.8 * product.bound
    assert tighter.bound == lipschitz_bound(net, method="lipsdp")
    assert [row.bound for row in tighter.rows] == [row.bound for row in product.rows]
    assert "product rule or lipsdp" in str(tighter)
    assert tighter.to_dict()["method"] == "lipsdp"
    with pytest.raises(ValueError, match="method must be"):
        audit(net, method="sdp")
    with pytest.raises(TypeError, match="'0'"):
        audit(nn.Sequential(nn.Conv2d(1, 1, 1)), method="eclipse")
