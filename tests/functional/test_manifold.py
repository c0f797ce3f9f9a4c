"""Steps along the orthogonal matrices against the geodesic of Edelman, Arias and Smith in float64."""

import pytest
import scipy.linalg
import torch

from taut.functional import stiefel_retract, stiefel_step

SIZES = [(6, 6), (9, 4), (4, 9), (1, 5), (5, 1), (40, 30)]
LENGTHS = [1e-6, 0.03, 0.2, 0.8, 3.0, 20.0]


def point(size: tuple[int, int]) -> torch.Tensor:
    torch.manual_seed(0)
    return torch.nn.init.orthogonal_(torch.empty(size, dtype=torch.float64))


def geodesic(w: torch.Tensor, update: torch.Tensor) -> tuple[torch.Tensor, float]:
    """exp(A) W with the full square skew A, and the norm of A."""
    if w.shape[0] < w.shape[1]:
        turned, norm = geodesic(w.mT, update.mT)
        return turned.mT, norm
    eye = torch.eye(len(w), dtype=w.dtype)
    inner = w.mT @ update
    tangent = update - 0.5 * w @ (inner + inner.mT)
    half = (eye - 0.5 * w @ w.mT) @ tangent @ w.mT
    skew = half - half.mT
    assert torch.allclose(skew @ w, tangent)
    return torch.from_numpy(scipy.linalg.expm(skew.numpy())) @ w, float(torch.linalg.matrix_norm(skew))


@pytest.mark.parametrize("retracted", [True, False])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("length", LENGTHS)
def test_a_step_follows_the_geodesic_to_the_order_of_its_polynomial(
    size: tuple[int, int], length: float, retracted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not retracted:  # which would hide what is wrong along W
        monkeypatch.setattr("taut.functional.manifold.stiefel_retract", lambda weight: weight)
    w = point(size)
    update = torch.randn(size, dtype=torch.float64)
    update *= length / torch.linalg.matrix_norm(update)
    expected, norm = geodesic(w, update)
    degree = next((d for limit, d in ((0.05, 2), (0.25, 3), (1.0, 4)) if norm < limit), None)
    error = float(torch.linalg.matrix_norm(stiefel_step(w, update) - expected))
    assert error <= 1e-12 + (0.0 if degree is None else norm ** (degree + 1))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("length", [0.0, *LENGTHS, 1e4, 1e18])
def test_a_step_ends_on_the_manifold(size: tuple[int, int], length: float, dtype: torch.dtype) -> None:
    w, update = point(size).to(dtype), torch.randn(size, dtype=dtype)
    values = torch.linalg.svdvals(stiefel_step(w, length * update).double())
    assert float((values - 1).abs().max()) <= {torch.float32: 1e-6, torch.float64: 2e-14}[dtype]


@pytest.mark.parametrize("size", SIZES)
def test_a_hundred_steps_do_not_drift(size: tuple[int, int]) -> None:
    w = point(size).float()
    for _ in range(100):
        w = stiefel_step(w, 0.1 * torch.randn(size))
    values = torch.linalg.svdvals(w.double())
    assert float((values - 1).abs().max()) <= 1e-6


@pytest.mark.parametrize("size", SIZES)
def test_a_pull_towards_the_origin_does_nothing(size: tuple[int, int]) -> None:
    w = point(size)
    assert torch.allclose(stiefel_step(w, -0.3 * w), w, atol=1e-14)


@pytest.mark.parametrize("distance", [0.0, 1e-9, 1e-6, 1e-3, 0.03, 0.1, 0.5, 10.0])
def test_retraction_is_the_polar_factor(distance: float) -> None:
    w = point((9, 4)) + distance * torch.randn(9, 4, dtype=torch.float64)
    expected = torch.from_numpy(scipy.linalg.polar(w.numpy())[0])
    assert torch.allclose(stiefel_retract(w), expected, atol=1e-13)
    assert torch.allclose(stiefel_retract(w.mT.contiguous()), expected.mT, atol=1e-13)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.float64, 2e-14)])
@pytest.mark.parametrize("defect", [1e-8, 1e-5, 1e-3, 0.02, 0.1, 0.2])
@pytest.mark.parametrize("size", [(70, 70), (90, 40), (40, 90)])
def test_nearly_orthogonal_matrices_need_no_eigenvectors(
    size: tuple[int, int], defect: float, dtype: torch.dtype, tolerance: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(weight: torch.Tensor) -> torch.Tensor:
        raise AssertionError("not near")

    w, n = point(size), min(size)
    change = torch.randn(n, n, dtype=torch.float64)
    change = change + change.T
    values = torch.linalg.eigh(change)  # the squares of the singular values are 1 +- defect, or between
    change = values.eigenvectors * (values.eigenvalues / values.eigenvalues.abs().amax() * defect)
    root = torch.linalg.eigh(torch.eye(n, dtype=torch.float64) + change @ values.eigenvectors.T)
    stretch = root.eigenvectors * root.eigenvalues.sqrt() @ root.eigenvectors.T
    near = (stretch @ w if size[0] < size[1] else w @ stretch).to(dtype)
    monkeypatch.setattr("taut.functional.manifold.polar_factor", refused)
    found = stiefel_retract(near).double()
    assert float((torch.linalg.svdvals(found) - 1).abs().max()) <= tolerance
    assert float(torch.linalg.matrix_norm(found - w, 2)) <= 4 * tolerance


def test_half_precision_is_computed_in_float32() -> None:
    w = point((16, 16)).bfloat16()
    update = 0.01 * torch.randn(16, 16)
    assert torch.equal(stiefel_step(w, update), stiefel_step(w.float(), update).bfloat16())
    assert torch.equal(stiefel_retract(w), stiefel_retract(w.float()).bfloat16())
