"""The denoiser's constants against singular values of its Jacobian, and its calling forms."""

import math

import pytest
import torch
from torch import Tensor, nn

import taut
from taut import nn as tnn
from taut.certify import lipschitz_bound
from taut.imaging import Denoiser, nonexpansive, tv_denoiser
from taut.imaging.tv import TVDenoiser

EPS = torch.finfo(torch.float32).eps


def network(channels: int = 1, mode: str = "circular") -> nn.Module:
    torch.manual_seed(0)
    return tnn.Sequential(
        tnn.AOCConv2d(channels, 6, 3, padding=1, padding_mode=mode),
        tnn.MaxMin(),
        tnn.AOCConv2d(6, channels, 3, padding=1, padding_mode=mode),
    )


def jacobian(denoiser: nn.Module, shape: tuple[int, ...]) -> Tensor:
    size = math.prod(shape)
    return torch.autograd.functional.jacobian(denoiser, torch.rand(shape).double()).reshape(size, size)


class Residual(nn.Module):
    """x - N(x), with a shape that the graph does not show."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Conv2d(1, 1, 3)

    def forward(self, x: Tensor) -> Tensor:
        return x - nn.functional.pad(self.inner(x), (1, 1, 1, 1), mode="replicate")


@pytest.mark.parametrize("mode", ["circular", "zeros"])
def test_nonexpansive_is_proven_one_exactly_and_hardly_smaller(mode: str) -> None:
    net = network(mode=mode)
    assert lipschitz_bound(tnn.Sequential(net)) > 1.0
    proven = lipschitz_bound(nonexpansive(net))
    assert 1.0 - 4 * EPS <= proven <= 1.0
    loose = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 1, 3))
    factor = 1.0 / lipschitz_bound(loose)
    x = torch.rand(2, 1, 9, 9)
    assert torch.allclose(nonexpansive(loose)(x), loose(x) * factor, rtol=4 * EPS, atol=4 * EPS)


def test_a_network_below_one_stays_as_it_is() -> None:
    small = nn.Conv2d(1, 1, 1, bias=False)
    nn.init.constant_(small.weight, 0.25)
    assert 0.25 <= lipschitz_bound(nonexpansive(small)) < 0.25 + EPS


def test_nonexpansive_names_what_it_cannot_bound() -> None:
    with pytest.raises(TypeError, match="Bilinear"):
        nonexpansive(nn.Sequential(nn.Bilinear(2, 2, 2)))


@pytest.mark.parametrize("averaging", [0.25, 0.5, 0.75, 1.0])
def test_the_three_constants_hold_and_are_attained(averaging: float) -> None:
    """Those of D, 2 D - I and D - I are the largest of the two networks 1.5 I and -1.5 I, of which the bound is 1.5."""
    found = []
    for factor in (1.5, -1.5):
        conv = nn.Conv2d(1, 1, 1, bias=False)
        nn.init.constant_(conv.weight, factor)
        denoiser = Denoiser(conv, channels=1, sigma=None, averaging=averaging)
        matrix = jacobian(denoiser.double(), (1, 3, 4))
        one = torch.eye(len(matrix)).double()
        found.append([float(torch.linalg.matrix_norm(m, 2)) for m in (matrix, 2 * matrix - one, matrix - one)])
    bounds = torch.tensor([denoiser.lipschitz_bound, denoiser.reflected_bound, denoiser.residual_bound]).double()
    largest = torch.tensor(found).double().amax(0)
    assert bool((largest <= bounds * (1 + 1e-6)).all())
    assert bool((largest >= bounds * (1 - 1e-6)).all())


def test_averaged_and_nonexpansive_need_a_constant_of_one() -> None:
    proven = Denoiser(nonexpansive(network()), channels=1, sigma=0.1, averaging=0.5)
    assert (proven.averaged, proven.nonexpansive) == (0.5, True)
    assert proven.reflected_bound <= 1.0
    assert Denoiser(nonexpansive(network()), channels=1, sigma=0.1).averaged is None
    above = Denoiser(network(), channels=1, sigma=0.1, averaging=0.5)  # 1.000003
    assert (above.averaged, above.nonexpansive) == (None, False)
    assert 1.0 < above.lipschitz_bound < above.network_bound < 1.0001


def test_what_cannot_be_bounded_has_an_infinite_constant() -> None:
    denoiser = Denoiser(Residual(), channels=1, sigma=None)
    assert denoiser.lipschitz_bound == denoiser.reflected_bound == denoiser.residual_bound == math.inf
    assert denoiser(torch.rand(1, 5, 5)).shape == (1, 5, 5)


def test_other_noise_levels_are_reached_by_scaling() -> None:
    denoiser = Denoiser(network(), channels=1, sigma=0.1, averaging=0.5)
    x = torch.rand(2, 1, 6, 5)
    plain = denoiser.network
    expected = 0.5 * x + 0.5 * 2.0 * plain(x / 2.0)
    assert torch.allclose(denoiser(x, 0.2), expected, atol=16 * EPS)
    each = denoiser(x, torch.tensor([0.1, 0.2]))
    assert torch.allclose(each[0], denoiser(x)[0], atol=16 * EPS)
    assert torch.allclose(each[1], expected[1], atol=16 * EPS)
    assert not torch.allclose(each[0], expected[0], atol=1e-3)


def test_colour_goes_channel_by_channel_and_one_image_has_no_batch() -> None:
    denoiser = Denoiser(network(), channels=1, sigma=0.1)
    x = torch.rand(2, 3, 6, 5)
    levels = torch.tensor([0.1, 0.3])
    together = denoiser(x, levels)
    for channel in range(3):
        alone = denoiser(x[:, channel : channel + 1], levels)
        assert torch.allclose(together[:, channel : channel + 1], alone, atol=16 * EPS)
    assert torch.allclose(denoiser(x[1], 0.3), together[1], atol=16 * EPS)


def test_precision_of_the_image_is_kept_and_gradients_flow_to_it_alone() -> None:
    denoiser = Denoiser(network(), channels=1, sigma=None)
    x = torch.rand(1, 5, 5, dtype=torch.float64, requires_grad=True)
    out = denoiser(x)
    out.sum().backward()
    assert out.dtype == torch.float64
    assert x.grad is not None
    assert not any(p.requires_grad for p in denoiser.parameters())
    assert denoiser(x.detach().half()).dtype == torch.float16
    assert not denoiser.train().network.training


def test_weights_that_change_are_proven_anew() -> None:
    denoiser = Denoiser(nonexpansive(network()), channels=1, sigma=None, averaging=0.5)
    before = denoiser.lipschitz_bound
    state = {name: 2.0 * value for name, value in denoiser.state_dict().items()}
    denoiser.load_state_dict(state)
    assert denoiser.network_bound > 3.9
    assert denoiser.averaged is None
    assert before <= 1.0
    half = Denoiser(nonexpansive(network()), channels=1, sigma=None)
    assert half.half().network_bound != before
    edited = Denoiser(nonexpansive(network()), channels=1, sigma=None)
    for parameter in edited.network.parameters():
        parameter.data.mul_(2.0)  # leaves no trace in the version of the parameter
    assert edited.network_bound > 3.9


@pytest.mark.parametrize("averaging", [0.5, 1.0])
def test_autocast_and_tf32_are_not_used(averaging: float) -> None:
    """Rounded weights would have another constant than the one that is proven."""
    denoiser = Denoiser(nonexpansive(network()), channels=1, sigma=None, averaging=averaging)
    x, allowed = torch.rand(1, 6, 6), []
    denoiser.network.register_forward_pre_hook(lambda *_: allowed.append(torch.backends.cudnn.allow_tf32))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = denoiser(x)
    assert torch.equal(inside, denoiser(x))
    assert torch.backends.cudnn.allow_tf32
    assert not any(allowed)


@pytest.mark.parametrize(
    ("image", "sigma", "error", "says"),
    [
        (torch.rand(2, 5, 5), None, ValueError, "3 channels, got 2"),
        (torch.rand(3, 1, 5), None, ValueError, "pads by 2 and needs images of at least that size, got 1 x 5"),
        (torch.rand(5, 5), None, ValueError, "(5, 5)"),
        (torch.rand(3, 0, 5), None, ValueError, "(3, 0, 5)"),
        (torch.rand(3, 5, 5), 0.5, ValueError, "from 0.025 to 0.4, got 0.5"),
        (torch.rand(3, 5, 5), 0.02, ValueError, "got 0.02"),
        (torch.rand(3, 5, 5), math.nan, ValueError, "got nan"),
        (torch.rand(3, 5, 5), torch.tensor([0.1, 0.1]), ValueError, "one for each of 1 images, got 2"),
    ],
)
def test_images_and_levels_that_do_not_fit_are_named(
    image: Tensor, sigma: float | Tensor | None, error: type[Exception], says: str
) -> None:
    net = nn.Conv2d(3, 3, 5, padding=2, padding_mode="circular")
    with pytest.raises(error) as caught:
        Denoiser(net, channels=3, sigma=0.1)(image, sigma)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"channels": 0, "sigma": 0.1}, "channels"),
        ({"channels": 1, "sigma": 0.0}, "sigma"),
        ({"channels": 1, "sigma": 0.1, "averaging": 0.0}, "averaging"),
        ({"channels": 1, "sigma": 0.1, "averaging": 1.5}, "got 1.5"),
    ],
)
def test_arguments_are_checked(options: dict, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Denoiser(nn.Conv2d(1, 1, 1), **options)


def test_a_network_that_changes_the_shape_or_has_no_numbers_is_refused() -> None:
    with pytest.raises(ValueError, match="shape"):
        Denoiser(nn.Conv2d(1, 1, 3), channels=1, sigma=None)(torch.rand(1, 5, 5))
    broken = nn.Conv2d(1, 1, 1)
    nn.init.constant_(broken.weight, math.nan)
    with pytest.raises(ValueError, match="finite"):
        Denoiser(broken, channels=1, sigma=None)


def test_total_variation_is_minimised() -> None:
    """Against projected gradients on the dual problem: x - weight div p, |p| <= 1."""
    torch.manual_seed(0)
    x, weight = torch.rand(9, 7).double(), 0.13
    dual = torch.zeros(2, 9, 7).double()

    def divergence(p: Tensor) -> Tensor:
        return torch.diff(p[0], dim=0, prepend=torch.zeros(1, 7).double()) + torch.diff(
            p[1], dim=1, prepend=torch.zeros(9, 1).double()
        )

    for _ in range(1000):
        u = x / weight + divergence(dual)
        slope = torch.zeros_like(dual)
        slope[0, :-1], slope[1, :, :-1] = u.diff(dim=0), u.diff(dim=1)
        dual = dual + slope / 8
        dual = dual / dual.square().sum(0).sqrt().clamp(min=1.0)
    found = TVDenoiser(weight=weight, iterations=2000, tolerance=1e-9)(x[None])[0]
    assert (found - (x + weight * divergence(dual))).abs().max() < 1e-4
    quick = tv_denoiser(weight=weight)
    assert (quick(x[None])[0] - found).abs().max() < 0.02
    assert (quick.averaged, quick.nonexpansive, quick.lipschitz_bound) == (0.5, True, 1.0)


def test_total_variation_takes_batches_in_colour_and_names_bad_arguments() -> None:
    x = torch.rand(2, 3, 6, 5)
    both = tv_denoiser(weight=0.1)(x, 0.2)
    assert both.dtype == x.dtype
    assert torch.equal(both[1, 2:], tv_denoiser(weight=0.1)(x[1, 2:]))
    with pytest.raises(ValueError, match="got 0.0"):
        tv_denoiser(weight=0.0)
    with pytest.raises(ValueError, match="3 channels, got 1"):
        tv_denoiser(weight=0.1, channels=3)(x[:, :1])


def test_sides_that_do_not_fit_are_filled_up_and_the_constants_stay() -> None:
    torch.manual_seed(0)
    network = taut.models.conv_denoiser(width=8, depth=3, padding_mode="zeros", downsampling=2)
    denoiser = Denoiser(nonexpansive(network), channels=1, sigma=None, averaging=0.5, multiple=2)
    x = torch.rand(1, 1, 5, 7, dtype=torch.float64)
    denoiser.double()
    jacobian = torch.autograd.functional.jacobian(denoiser, x).reshape(35, 35)
    assert torch.linalg.matrix_norm(2 * jacobian - torch.eye(35), 2) <= 1 + 1e-12  # firmly nonexpansive
    even = torch.nn.functional.pad(x, (0, 1, 0, 1))
    assert torch.equal(denoiser(x), denoiser(even)[:, :, :5, :7])
    assert denoiser(x[:, :, :1, :1]).shape == (1, 1, 1, 1)
    with pytest.raises(ValueError, match="multiple must be at least 1, got 0"):
        Denoiser(network, channels=1, sigma=None, multiple=0)
