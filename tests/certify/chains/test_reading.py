"""What is a dense chain, and how the rest is refused by name."""

import pytest
import torch
from torch import nn

import taut
from taut import nn as tnn
from taut.certify.chains.minimise import minimise
from taut.certify.chains.reading import read_chain
from taut.certify.chains.sectors import Groups, Slopes

MODELS = {
    "a linear layer alone": nn.Linear(3, 2),
    "nested": nn.Sequential(nn.Flatten(), nn.Sequential(nn.Linear(3, 4), nn.ReLU()), nn.Linear(4, 2)),
    "activation first and last": nn.Sequential(nn.ReLU(), nn.Linear(3, 4), nn.Tanh()),
    "no activation between": nn.Sequential(nn.Linear(3, 4), nn.Identity(), nn.Linear(4, 2), nn.ReLU(), nn.Linear(2, 2)),
    "two activations": nn.Sequential(nn.Linear(3, 4), tnn.MaxMin(), nn.ReLU(), tnn.Abs(), nn.Linear(4, 2)),
    "dropout": nn.Sequential(nn.Linear(3, 4), nn.Dropout(), nn.ReLU(), nn.Linear(4, 2)).eval(),
    "bfloat16": nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)).bfloat16(),
    "constrained, with a factor": tnn.Sequential(
        tnn.BjorckLinear(3, 4), tnn.LipschitzPReLU(4), tnn.BjorckLinear(4, 2), lipschitz=3.0
    ),
}
STRANGERS = {
    "'0' (Conv2d)": nn.Sequential(nn.Conv2d(1, 1, 1)),
    "'1' (Softmax)": nn.Sequential(nn.Linear(2, 2), nn.Softmax(dim=1), nn.Conv2d(1, 1, 1)),
    "'1.0' (BatchNorm1d)": nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.BatchNorm1d(2))).eval(),
    "'1' (Dropout) in training mode": nn.Sequential(nn.Linear(2, 2), nn.Dropout()),
    "'1' (MaxOut)": nn.Sequential(nn.Linear(2, 4), tnn.MaxOut(2)),
    "'1' (MaxMin)": nn.Sequential(nn.Linear(2, 4), tnn.MaxMin(dim=0)),
    "'1' (GELU)": nn.Sequential(nn.Linear(2, 4), nn.GELU(approximate="tanh")),
    "'0' (Flatten)": nn.Sequential(nn.Flatten(0), nn.Linear(4, 4)),
    "no linear layer": nn.Sequential(nn.ReLU()),
}


@pytest.mark.parametrize("name", MODELS)
def test_chains_have_bounds_at_most_the_product_that_hold_before_and_after_folding(name: str) -> None:
    torch.manual_seed(0)
    model = MODELS[name]
    plain = taut.fold(model).double().eval()
    points = torch.randn(20, 1, 3, dtype=torch.float64)
    jacobians = [torch.autograd.functional.jacobian(plain, point).reshape(-1, 3) for point in points]
    steepest = max(float(torch.linalg.matrix_norm(jacobian, 2)) for jacobian in jacobians)
    # folding multiplies the factor into float32 weights, which rounds them
    for one, rounding in ((model, 2.0**-22), (taut.fold(model), 1e-12)):
        product = taut.lipschitz_bound(one)
        for method in ("eclipse", "lipsdp"):
            bound = taut.lipschitz_bound(one, method=method)
            assert bound <= product
            assert steepest <= bound * (1 + rounding)


@pytest.mark.parametrize("where", STRANGERS)
def test_the_first_module_that_is_no_part_of_a_chain_is_named(where: str) -> None:
    for method in ("eclipse", "lipsdp"):
        with pytest.raises(TypeError) as error:
            taut.lipschitz_bound(STRANGERS[where], method=method)
        assert where in str(error.value)
        assert "dense chain" in str(error.value)


def test_hooks_and_rules_of_ones_own_are_no_part_of_a_chain() -> None:
    hooked = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    hooked[0].register_forward_hook(lambda module, args, output: 5 * output)
    with pytest.raises(TypeError, match="module '0' \\(Linear\\) has forward hooks"):
        read_chain(hooked)
    ruled = nn.Linear(2, 2)
    ruled.lipschitz_constant = lambda norm: 1.0  # type: ignore[assignment]
    with pytest.raises(TypeError, match="module '0' \\(Linear\\) is no part"):
        taut.lipschitz_bound(nn.Sequential(ruled, nn.Linear(2, 2)), method="eclipse")


class Called(nn.Linear):
    """Does more when it is called than its forward does."""

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return 10.0 * super().__call__(x)


def test_a_call_of_ones_own_is_no_part_of_a_chain() -> None:
    with pytest.raises(TypeError, match="module '0' \\(Called\\)"):
        taut.lipschitz_bound(nn.Sequential(Called(2, 2), nn.ReLU(), nn.Linear(2, 2)), method="eclipse")


def test_arguments_are_checked() -> None:
    net = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    with pytest.raises(ValueError, match="method must be 'product', 'eclipse' or 'lipsdp', got 'sdp'"):
        taut.lipschitz_bound(net, method="sdp")
    for method in ("eclipse", "lipsdp"):
        with pytest.raises(ValueError, match=f"method '{method}' bounds the norm 'l2' alone, got 'linf'"):
            taut.lipschitz_bound(net, norm="linf", method=method)
    with pytest.raises(ValueError, match="module '1' \\(Linear\\) takes 3 features, got 2"):
        taut.lipschitz_bound(nn.Sequential(nn.Linear(2, 2), nn.Linear(3, 2)), method="eclipse")
    with pytest.raises(ValueError, match="module '1' \\(GroupSort\\) takes a multiple of 3 features, got 4"):
        taut.lipschitz_bound(nn.Sequential(nn.Linear(2, 4), tnn.GroupSort(3)), method="eclipse")
    net[0].bias.data[0] = float("nan")
    with pytest.raises(ValueError, match="weights of module '0' \\(Linear\\): bounds need finite values"):
        taut.lipschitz_bound(net, method="lipsdp")


def test_sectors_are_those_of_the_modules() -> None:
    net = nn.Sequential(nn.Linear(2, 4), nn.LeakyReLU(-3.0), nn.Linear(4, 6), tnn.GroupSort(3), nn.Linear(6, 4))
    net.extend([tnn.FullSort(), nn.Linear(4, 2), nn.Sigmoid()])
    leaky, group, full, sigmoid = (layer.sector for layer in read_chain(net).layers)
    assert isinstance(leaky, Slopes)
    assert (leaky.m - leaky.r <= -3.0).all()
    assert (leaky.m + leaky.r >= 1.0).all()
    assert (leaky.r < 2.0 * (1 + 1e-14)).all()
    assert isinstance(sigmoid, Slopes)
    assert (sigmoid.m == 0.125).all()
    assert isinstance(group, Groups)
    assert (group.group, group.count) == (3, 2)
    assert isinstance(full, Groups)
    assert (full.group, full.count) == (4, 1)


def test_the_breakdown_names_both_proofs() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 2))
    tree = taut.certify.breakdown(net, method="lipsdp")
    product, whole = tree.children
    assert (tree.kind, tree.bound) == ("least", min(product.bound, whole.bound))
    assert str(product) == str(taut.certify.breakdown(net))
    assert "'(model)': lipsdp, ellipsoids proven layer by layer" in str(tree)
    assert whole.bound < product.bound


def test_the_minimum_of_a_function_with_an_edge_is_found() -> None:
    """x - log x, and infinity where x <= 0, along 5 axes of very different steepness."""
    steepness = torch.logspace(-2, 2, 5, dtype=torch.float64)

    def function(x: torch.Tensor) -> tuple[float, torch.Tensor]:
        y = 1.0 + steepness * (x - 1.0)
        if not bool((y > 0.0).all()):
            return float("inf"), x
        return float((y - y.log()).sum()), steepness * (1.0 - 1.0 / y)

    found = minimise(function, torch.full((5,), 1.9, dtype=torch.float64) ** (steepness < 2), evaluations=200)
    assert function(found)[0] < 5.0 + 1e-3
