"""Iterations with proven denoisers: residuals fall, fixed points agree. Others are refused, and theirs may grow."""

import copy
import math
import warnings
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from taut import nn as tnn
from taut.imaging import (
    ConvergenceWarning,
    Denoiser,
    Restoration,
    Step,
    admm,
    douglas_rachford,
    forward_backward,
    nonexpansive,
    primal_dual,
)
from taut.imaging.operators import (
    Blur,
    FourierMask,
    Identity,
    Inpainting,
    LinearOperator,
    SuperResolution,
    Tomography,
    gaussian_kernel,
    radial_mask,
    random_pixels,
    uniform_kernel,
)

SHAPE = (1, 9, 8)
OPERATORS: dict[str, LinearOperator] = {
    "denoising": Identity(SHAPE),
    "inpainting": Inpainting(SHAPE, random_pixels(9, 8, share=0.6)),
    "blur": Blur(SHAPE, gaussian_kernel(1.0)),
    "blur, zeros": Blur(SHAPE, uniform_kernel(3), padding="zeros"),
    "super-resolution": SuperResolution(SHAPE, uniform_kernel(2), factor=2),
    "MRI": FourierMask(SHAPE, radial_mask(9, 8, lines=5)),
    "tomography": Tomography(SHAPE, 6),
}
ALGORITHMS: dict[str, Callable[..., Restoration]] = {
    "forward-backward": forward_backward,
    "denoiser first": lambda *given, **options: forward_backward(*given, order="denoiser-first", **options),
    "Douglas-Rachford": douglas_rachford,
    "ADMM": admm,
    "primal-dual": primal_dual,
    "primal-dual, box": lambda *given, **options: primal_dual(*given, form="box", **options),
}
TOP_ROW = Inpainting(SHAPE, torch.eye(9)[:1].T.expand(9, 8))
"""Nothing is measured below it."""

each_algorithm = pytest.mark.parametrize("algorithm", ALGORITHMS.values(), ids=ALGORITHMS)


@pytest.fixture(scope="module")
def denoiser() -> Denoiser:
    """Orthogonal and untrained: far from a denoiser, but averaged."""
    torch.manual_seed(0)
    net = tnn.Sequential(
        tnn.AOCConv2d(1, 6, 3, padding=1, padding_mode="circular"),
        tnn.MaxMin(),
        tnn.AOCConv2d(6, 1, 3, padding=1, padding_mode="circular"),
    )
    return Denoiser(nonexpansive(net), channels=1, sigma=None, averaging=0.5)


def measured(operator: LinearOperator, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    """A picture and what is measured of it."""
    generator = torch.Generator().manual_seed(1)
    x = torch.rand(SHAPE, generator=generator)
    noise = 0.05 * torch.randn(operator.output_shape, generator=generator)
    return x.to(dtype), (operator(x) + noise).to(dtype)


def turn(factor: float = 1.0, *, averaging: float = 1.0) -> Denoiser:
    """factor times a shift by one pixel: a rotation of the space of pictures, with the constant `factor`."""
    conv = nn.Conv2d(1, 1, 3, padding=1, padding_mode="circular", bias=False)
    nn.init.zeros_(conv.weight)
    with torch.no_grad():
        conv.weight[0, 0, 1, 0] = factor
    network = nonexpansive(conv) if factor == 1.0 else conv
    return Denoiser(network, channels=1, sigma=None, averaging=averaging, name="turn")


def warned(algorithm: Callable[..., Restoration], *given: object, **options: object) -> Restoration:
    with pytest.warns(ConvergenceWarning):
        return algorithm(*given, check="warn", **options)


@pytest.mark.parametrize(
    ("operator", "dtype"),
    [*((operator, torch.float32) for operator in OPERATORS.values()), (OPERATORS["blur"], torch.float64)],
    ids=[*OPERATORS, "blur in float64"],
)
@each_algorithm
def test_the_residual_falls_monotonically(
    algorithm: Callable[..., Restoration], operator: LinearOperator, dtype: torch.dtype, denoiser: Denoiser
) -> None:
    _, y = measured(operator, dtype)
    used = copy.deepcopy(denoiser).to(dtype)
    start = 3.0 * torch.randn(SHAPE, generator=torch.Generator().manual_seed(2))
    found = algorithm(operator, y, used, start=start, iterations=12, tolerance=0.0)
    assert found.condition.converges
    assert found.condition.monotone
    assert found.course.monotone
    assert found.course.residual[-1] < 0.5 * found.course.residual[0]
    assert found.image.dtype == dtype


@pytest.mark.parametrize("operator", [OPERATORS["super-resolution"], OPERATORS["tomography"]])
def test_all_iterations_have_the_same_fixed_point(operator: LinearOperator, denoiser: Denoiser) -> None:
    """x = D(x - step A^T (A x - y)), whatever the iteration is; the step is given and not the default."""
    _, y = measured(operator, torch.float64)
    used = copy.deepcopy(denoiser).double()
    step = 0.7 / operator.norm_bound**2
    for name, algorithm in ALGORITHMS.items():
        if name != "primal-dual, box":
            x = algorithm(operator, y, used, step=step, iterations=80, tolerance=1e-8).image
            moved = used(x - step * operator.adjoint(operator(x) - y)) - x
            assert moved.norm() < 1e-5 * x.norm(), name


def test_the_box_holds_the_picture_and_is_no_other_constraint() -> None:
    """With D = I the minimiser of |x - y|^2 in a box is y cut to it."""
    still = Denoiser(nn.Identity(), channels=1, sigma=None, averaging=0.5)
    y = torch.linspace(-1.0, 2.0, 72).reshape(SHAPE).double()
    found = primal_dual(Identity(SHAPE), y, still, form="box", box=(0.25, 0.75), iterations=400, tolerance=1e-12)
    assert torch.allclose(found.image, y.clamp(0.25, 0.75), atol=1e-6)


@each_algorithm
def test_a_denoiser_with_a_constant_above_one_is_refused(algorithm: Callable[..., Restoration]) -> None:
    operator = OPERATORS["inpainting"]
    _, y = measured(operator)
    with pytest.raises(ValueError, match=r"turn.* (1\.3|3\.59999)"):
        algorithm(operator, y, turn(1.3))


@each_algorithm
def test_its_residual_grows_without_end(algorithm: Callable[..., Restoration]) -> None:
    _, y = measured(TOP_ROW)
    found = warned(algorithm, TOP_ROW, y, turn(1.3), start=torch.rand(SHAPE), iterations=60, tolerance=0.0)
    assert not found.course.monotone
    assert found.course.residual[-1] > 10 * found.course.residual[0]
    assert not found.course.converged
    assert not found.condition.converges


def test_what_is_no_number_ends_the_iteration() -> None:
    operator = OPERATORS["inpainting"]
    _, y = measured(operator)
    found = warned(forward_backward, operator, y, turn(1e30), iterations=60, tolerance=0.0)
    assert len(found.course.residual) < 10
    assert not found.course.monotone


def test_a_nonexpansive_denoiser_may_circle() -> None:
    """Where nothing is measured of what it turns, forward-backward repeats itself: monotone, not convergent."""
    _, y = measured(TOP_ROW)
    start = torch.rand(SHAPE)
    found = warned(forward_backward, TOP_ROW, y, turn(), start=start, iterations=200, tolerance=1e-3)
    assert found.condition.monotone
    assert found.course.monotone
    assert not found.course.converged
    averaged = forward_backward(TOP_ROW, y, turn(averaging=0.5), start=start, iterations=2000, tolerance=1e-3)
    assert averaged.course.converged


def test_douglas_rachford_needs_more_than_an_averaged_denoiser() -> None:
    """theta = 0.9 is enough for forward-backward; here the residual grows."""
    operator = OPERATORS["inpainting"]
    _, y = measured(operator)
    flipped = nn.Conv2d(1, 1, 1, bias=False)
    nn.init.constant_(flipped.weight, -1.0)
    used = Denoiser(nonexpansive(flipped), channels=1, sigma=None, averaging=0.9)
    assert forward_backward(operator, y, used, iterations=50).course.monotone
    for algorithm in (douglas_rachford, admm):
        with pytest.raises(ValueError, match="firmly"):
            algorithm(operator, y, used)
        assert not warned(algorithm, operator, y, used, step=100.0, iterations=50, tolerance=0.0).course.monotone


@pytest.mark.parametrize("form", ["dual", "box"])
def test_primal_dual_steps_that_leave_no_room(form: str, denoiser: Denoiser) -> None:
    operator = OPERATORS["blur"]
    _, y = measured(operator)
    with pytest.raises(ValueError, match="must be above"):
        primal_dual(operator, y, denoiser, form=form, step=3.0, dual_step=2.0)
    still = Denoiser(nn.Identity(), channels=1, sigma=None, averaging=0.5)
    found = warned(primal_dual, operator, y, still, form=form, step=5.0, dual_step=2.0, iterations=80, tolerance=0.0)
    assert not found.course.monotone


def test_a_step_beyond_the_norm_is_refused_and_grows(denoiser: Denoiser) -> None:
    operator = OPERATORS["denoising"]
    _, y = measured(operator)
    with pytest.raises(ValueError, match=r"below 2 / \|\|A\|\|\^2 = 2, got 2.5"):
        forward_backward(operator, y, denoiser, step=2.5)
    still = Denoiser(nn.Identity(), channels=1, sigma=None, averaging=0.5)
    assert not warned(
        forward_backward, operator, y, still, step=2.5, start=torch.zeros(SHAPE), iterations=20, tolerance=0.0
    ).course.monotone


def test_course_start_truth_and_callback(denoiser: Denoiser) -> None:
    operator = OPERATORS["inpainting"]
    x, y = measured(operator)
    seen: list[Step] = []
    found = forward_backward(operator, y, denoiser, truth=x, start=x, iterations=3, tolerance=0.0, on_step=seen.append)
    assert [step.iteration for step in seen] == [1, 2, 3]
    first = denoiser(x - operator.adjoint(operator(x) - y))
    assert torch.allclose(seen[0].image, first)
    assert math.isclose(seen[0].residual, float((first - x).norm()), rel_tol=1e-5)
    assert math.isclose(seen[0].data_fit, float((operator(first) - y).norm()), rel_tol=1e-5)
    assert math.isclose(seen[0].change, float((first - x).norm() / x.norm()), rel_tol=1e-5)
    error = float((first.clamp(0, 1) - x).square().mean())
    assert found.course.psnr is not None
    assert math.isclose(found.course.psnr[0], -10 * math.log10(error), rel_tol=1e-4)
    assert torch.equal(found.image, seen[-1].image)


def test_rounding_is_that_of_the_coarsest_numbers(denoiser: Denoiser) -> None:
    """A network in float32 moves a float64 picture by rounding for ever."""
    blur = OPERATORS["blur"]
    course = forward_backward(blur, measured(blur, torch.float64)[1], denoiser, iterations=400, tolerance=0.0).course
    assert course.residual[-1] < course.rounding[-1]
    assert course.monotone


def test_a_step_for_which_the_inverse_is_not_found_is_refused(denoiser: Denoiser) -> None:
    scan = OPERATORS["tomography"]
    with pytest.raises(ValueError, match=r"float32 do not solve for a step of 1e\+06"):
        douglas_rachford(scan, measured(scan)[1], denoiser, step=1e6)


def test_a_batch_is_restored_as_its_images_are(denoiser: Denoiser) -> None:
    operator = OPERATORS["MRI"]
    y = torch.stack([measured(operator)[1], 0.5 * measured(operator)[1]])
    both = admm(operator, y, denoiser, iterations=5, tolerance=0.0).image
    alone = admm(operator, y[1], denoiser, iterations=5, tolerance=0.0).image
    assert torch.allclose(both[1], alone, atol=1e-5)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"step": 0.0}, "step must be positive"),
        ({"step": math.inf}, "got inf"),
        ({"iterations": 0}, "got 0"),
        ({"tolerance": -1.0}, "got 100 and -1.0"),
        ({"check": "maybe"}, "'maybe'"),
        ({"start": torch.zeros(1, 2, 2)}, "(1, 2, 2)"),
    ],
)
@each_algorithm
def test_arguments_are_checked(
    algorithm: Callable[..., Restoration], options: dict, says: str, denoiser: Denoiser
) -> None:
    operator = OPERATORS["denoising"]
    with warnings.catch_warnings(), pytest.raises(ValueError) as caught:
        algorithm(operator, torch.rand(SHAPE), denoiser, **options)
    assert says in str(caught.value)


def test_measurements_that_are_no_numbers_and_other_forms_are_refused(denoiser: Denoiser) -> None:
    operator, y = OPERATORS["denoising"], torch.rand(SHAPE)
    with pytest.raises(ValueError, match="finite"):
        admm(operator, torch.full(SHAPE, torch.nan), denoiser)
    with pytest.raises(ValueError, match="'other'"):
        primal_dual(operator, y, denoiser, form="other")
    with pytest.raises(ValueError, match="'other'"):
        forward_backward(operator, y, denoiser, order="other")
    with pytest.raises(ValueError, match="box"):
        primal_dual(operator, y, denoiser, form="box", box=(1.0, 0.0))
