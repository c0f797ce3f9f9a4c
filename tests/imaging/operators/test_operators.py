"""Every operator against its dense matrix in float64: adjoint, singular values, the inverse of I + step A^T A."""

import pytest
import torch
from torch import Tensor

from taut.imaging.operators import (
    Blur,
    FourierMask,
    Identity,
    Inpainting,
    LinearOperator,
    SuperResolution,
    Tomography,
    cartesian_mask,
    gaussian_kernel,
    motion_kernel,
    radial_mask,
    random_mask,
    random_pixels,
    uniform_kernel,
)

EPS = torch.finfo(torch.float64).eps
SIGNED = torch.tensor([[1.0, -0.5, 0.25, 0.0], [0.5, 2.0, -1.0, 0.125], [-0.25, 0.0, 0.5, 1.0]])
LONE = torch.zeros(5, 5).index_put((torch.tensor(1), torch.tensor(2)), torch.tensor(1.0))

TIGHT = 1.0 + 1e-8
CASES: dict[str, tuple[LinearOperator, float]] = {
    "identity": (Identity((2, 3, 4)), 1.0),
    "inpainting": (Inpainting((2, 5, 7), random_pixels(5, 7, share=0.5)), 1.0),
    "uniform, circular": (Blur((2, 7, 9), uniform_kernel(3)), TIGHT),
    "gaussian, zeros": (Blur((1, 7, 9), gaussian_kernel(0.8), padding="zeros"), TIGHT),
    "motion, circular": (Blur((1, 8, 5), motion_kernel(5.0, angle=30.0)), TIGHT),
    "signed, circular": (Blur((1, 7, 9), SIGNED), TIGHT),
    "signed, zeros": (Blur((1, 10, 12), SIGNED, padding="zeros"), 1.1),
    "even, zeros": (Blur((1, 6, 5), uniform_kernel(2), padding="zeros"), 1.0 + 1e-5),
    "kernel beyond the image": (Blur((1, 3, 2), uniform_kernel(5)), TIGHT),
    "kernel beyond the image, zeros": (Blur((1, 3, 2), uniform_kernel(5), padding="zeros"), TIGHT),
    "super-resolution": (SuperResolution((2, 4, 6), gaussian_kernel(1.0), factor=2), TIGHT),
    "super-resolution, odd": (SuperResolution((1, 7, 9), uniform_kernel(2), factor=2), TIGHT),
    "super-resolution, signed": (SuperResolution((1, 9, 6), SIGNED, factor=3), TIGHT),
    "super-resolution, signed, odd": (SuperResolution((1, 8, 6), SIGNED, factor=3), 3.0),
    "super-resolution, beyond": (SuperResolution((1, 5, 6), uniform_kernel(7), factor=2), 2.0),
    "cartesian": (FourierMask((1, 5, 6), cartesian_mask(5, 6, acceleration=2.0)), TIGHT),
    "radial": (FourierMask((2, 6, 5), radial_mask(6, 5, lines=3)), TIGHT),
    "random frequencies": (FourierMask((1, 7, 5), random_mask(7, 5, share=0.3)), TIGHT),
    "one frequency without its mirror": (FourierMask((1, 5, 5), LONE), TIGHT),
    "tomography": (Tomography((1, 7, 9), 7), TIGHT),
    "tomography, given angles": (Tomography((2, 6, 6), torch.tensor([0.0, 10.0, 45.0, 90.0]), detectors=5), TIGHT),
}
each_case = pytest.mark.parametrize("name", CASES)


def dense(operator: LinearOperator) -> Tensor:
    """The matrix, column by column."""
    columns = torch.tensor(operator.input_shape).prod().item()
    basis = torch.eye(columns, dtype=torch.float64).reshape(columns, *operator.input_shape)
    return operator(basis).reshape(columns, -1).T


@each_case
def test_adjoint_is_the_transpose(name: str) -> None:
    operator, _ = CASES[name]
    matrix = dense(operator)
    basis = torch.eye(len(matrix), dtype=torch.float64).reshape(-1, *operator.output_shape)
    rows = operator.adjoint(basis).reshape(len(matrix), -1)
    assert (rows - matrix).abs().max() <= 64 * EPS * matrix.abs().max()


@each_case
def test_norm_and_smallest_singular_value_are_bracketed(name: str) -> None:
    operator, tight = CASES[name]
    matrix = dense(operator)
    values = torch.linalg.svdvals(matrix)
    largest = float(values[0])
    assert largest * (1 - 64 * EPS) <= operator.norm_bound <= largest * tight * (1 + 64 * EPS)
    smallest = float(values[-1]) if matrix.shape[0] >= matrix.shape[1] else 0.0
    assert operator.smallest_bound <= smallest + 64 * EPS * largest


@each_case
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_inverse_of_identity_plus_normal(name: str, dtype: torch.dtype) -> None:
    operator, _ = CASES[name]
    matrix, step = dense(operator), 1.7
    v = torch.randn(2, *operator.input_shape, dtype=dtype, generator=torch.Generator().manual_seed(0))
    solution = operator.solve(v, step=step)
    inverse = torch.linalg.inv(torch.eye(matrix.shape[1]).double() + step * matrix.T @ matrix)
    expected = (v.double().reshape(2, -1) @ inverse).reshape(v.shape)
    error = float((solution.image.double() - expected).norm())
    condition = 1.0 + step * operator.norm_bound**2
    rounding = 16 * condition * torch.finfo(dtype).eps * float(v.norm())
    assert error <= rounding
    assert solution.image.dtype == dtype
    assert solution.exact or error <= solution.error_bound + 16 * condition * EPS * float(v.norm())
    assert solution.error_bound <= rounding


@pytest.mark.parametrize("size", [1e20, 1e-25])
def test_conjugate_gradients_take_numbers_whose_squares_leave_the_range(size: float) -> None:
    blur = Blur((1, 5, 6), uniform_kernel(3), padding="zeros")
    v = torch.rand(1, 5, 6, generator=torch.Generator().manual_seed(0))
    expected = size * blur.solve(v, step=2.0).image.double()
    rounding = 64 * torch.finfo(torch.float32).eps * size * float(v.norm())
    assert float((blur.solve(size * v, step=2.0).image.double() - expected).norm()) <= rounding


def test_smallest_singular_values_of_invertible_operators_are_proven() -> None:
    for operator in (Blur((1, 7, 9), SIGNED), Identity((1, 2, 2)), FourierMask((1, 3, 4), torch.ones(3, 4))):
        assert operator.smallest_bound >= (1 - 1e-9) * float(torch.linalg.svdvals(dense(operator))[-1]) > 0.0


def test_a_convolution_is_the_sum_of_shifted_images() -> None:
    x = torch.rand(1, 5, 6, dtype=torch.float64)
    expected = sum(
        SIGNED[p, q] * x.roll((p - 1, q - 2), (1, 2)) for p in range(3) for q in range(4)
    )  # the centre is tap (1, 2)
    assert torch.allclose(Blur((1, 5, 6), SIGNED)(x), torch.as_tensor(expected).double(), atol=64 * EPS, rtol=0)
    padded = torch.nn.functional.pad(x, (4, 4, 4, 4))
    around = Blur((1, 13, 14), SIGNED)(padded)[:, 4:-4, 4:-4]
    assert torch.allclose(Blur((1, 5, 6), SIGNED, padding="zeros")(x), around, atol=64 * EPS, rtol=0)


def test_tomography_integrates_along_lines() -> None:
    """A disc of radius r: the integral at distance s from its centre is 2 sqrt(r^2 - s^2), at every angle."""
    side, radius, fine = 48, 18.0, 8
    axis = (torch.arange(side * fine) + 0.5) / fine - side / 2
    disc = (axis[:, None] ** 2 + axis**2 <= radius**2).float()
    pixels = torch.nn.functional.avg_pool2d(disc[None], fine)
    scan = Tomography((1, side, side), torch.tensor([0.0, 17.0, 45.0, 90.0, 133.0]))
    offsets = torch.arange(scan.output_shape[2]) - (scan.output_shape[2] - 1) / 2
    expected = 2 * (radius**2 - offsets**2).clamp(min=0).sqrt()
    inner = offsets.abs() < radius - 2  # at the rim the pixels are coarse
    assert (scan(pixels)[0] - expected)[:, inner].abs().max() < 0.02 * 2 * radius
    assert scan(torch.ones(1, side, side)).amax() <= side * 2**0.5 + 1e-4


def test_tomography_tells_up_from_down_and_left_from_right() -> None:
    picture = torch.zeros(1, 5, 5)
    picture[0, 0, 4] = 1.0  # top right
    seen = Tomography((1, 5, 5), torch.tensor([0.0, 90.0]), detectors=5)(picture)[0]
    assert seen.argmax(1).tolist() == [4, 4]


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (lambda: Identity((1, 0, 3)), "each at least 1, got"),
        (lambda: Inpainting((1, 2, 2), torch.full((2, 2), 0.5)), "zeros and ones"),
        (lambda: Inpainting((1, 2, 2), torch.zeros(2, 2)), "keep a pixel"),
        (lambda: Blur((1, 4, 4), torch.zeros(3, 3)), "not zero"),
        (lambda: Blur((1, 4, 4), torch.full((3, 3), torch.nan)), "NaN"),
        (lambda: Blur((1, 4, 4), torch.ones(3, 3), padding="reflect"), "'reflect'"),
        (lambda: SuperResolution((1, 4, 4), torch.ones(1, 1), factor=5), "got 5"),
        (lambda: FourierMask((1, 4, 4), torch.ones(4, 5)), "(4, 5)"),
        (lambda: Tomography((1, 4, 4), 0), "got 0"),
        (lambda: Tomography((1, 4000, 4000), 4000), "too many"),
        (lambda: Identity((1, 2, 2))(torch.zeros(1, 2, 3)), "(1, 2, 3)"),
        (lambda: Identity((1, 2, 2)).solve(torch.zeros(1, 2, 2), step=0.0), "step must be positive"),
        (lambda: random_pixels(3, 3, share=0.0), "share"),
        (lambda: motion_kernel(0.5), "length"),
        (lambda: gaussian_kernel(0.0), "std"),
    ],
)
def test_bad_arguments_are_named(wrong: object, says: str) -> None:
    with pytest.raises(ValueError) as caught:
        wrong()  # type: ignore[operator]
    assert says in str(caught.value)


def test_one_image_and_a_batch_agree_in_float32() -> None:
    operator = Blur((3, 5, 6), gaussian_kernel(1.0))
    batch = torch.rand(2, 3, 5, 6)
    assert torch.allclose(operator(batch)[1], operator(batch[1]), atol=1e-6)
    with pytest.raises(TypeError, match="float16"):
        operator(batch.half())


@pytest.mark.parametrize("kernel", [uniform_kernel(4), gaussian_kernel(1.3), motion_kernel(7.0, angle=70.0)])
def test_kernels_keep_the_mean(kernel: Tensor) -> None:
    assert abs(float(kernel.double().sum()) - 1.0) <= kernel.numel() * torch.finfo(torch.float32).eps
    assert bool((kernel >= 0).all())
