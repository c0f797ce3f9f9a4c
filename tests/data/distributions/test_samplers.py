"""What is sampled is what was described: moments, shapes, supports, and splits in which nothing is seen twice."""

import math

import numpy as np
import pytest
import torch

from taut.data.distributions import (
    Distribution,
    Empirical,
    Function,
    Gaussian,
    Mixture,
    Points,
    Shells,
    UniformCube,
    named,
)
from taut.errors import UsageError, UserError

COUNT = 20_000


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def uniform(count: int, generator: torch.Generator) -> np.ndarray:
    return torch.rand(count, 2, generator=generator).numpy()


LAWS: dict[str, tuple[Distribution, list[float], list[list[float]]]] = {
    "points": (Points([[0, 0], [4, 8]], weights=[3, 1]), [1, 2], [[3, 6], [6, 12]]),
    "circles": (Shells([[-1, 0], [1, 0]], radius=2), [0, 0], [[3, 0], [0, 2]]),
    "gaussian": (Gaussian([1, -1], std=[2, 0.5]), [1, -1], [[4, 0], [0, 0.25]]),
    "covariance": (Gaussian([1, -1], covariance=[[2, 1], [1, 3]]), [1, -1], [[2, 1], [1, 3]]),
    "box": (UniformCube([0, 1], [6, 2]), [3, 1.5], [[3, 0], [0, 1 / 12]]),
    "mixture": (
        Mixture([Gaussian([0, 0]), Points([[4, 0]])], weights=[3, 1]),
        [1, 0],
        [[0.75 + 3, 0], [0, 0.75]],
    ),
    "function": (Function(uniform), [0.5, 0.5], [[1 / 12, 0], [0, 1 / 12]]),
}


@pytest.mark.parametrize("name", LAWS)
def test_the_first_two_moments(name: str) -> None:
    law, mean, covariance = LAWS[name]
    samples = law.sample(COUNT, seeded())
    assert (samples.dtype, samples.device.type, tuple(samples.shape)) == (torch.float32, "cpu", (COUNT, *law.shape))
    samples = samples.double()
    off = (samples.mean(dim=0) - torch.tensor(mean)).abs()
    assert bool((off <= 4.5 * samples.std(dim=0) / math.sqrt(COUNT)).all())
    centred = samples - torch.tensor(mean)
    products = centred[:, :, None] * centred[:, None, :]
    off = (products.mean(dim=0) - torch.tensor(covariance)).abs()
    assert bool((off <= 4.5 * products.std(dim=0) / math.sqrt(COUNT) + 1e-6).all())


@pytest.mark.parametrize("name", LAWS)
def test_the_generator_decides(name: str) -> None:
    law = LAWS[name][0]
    assert torch.equal(law.sample(50, seeded(3)), law.sample(50, seeded(3)))
    assert not torch.equal(law.sample(50, seeded(3)), law.sample(50, seeded(4)))
    assert law.size is None
    for part in law.parts():
        assert torch.equal(part.sample(50, seeded(3)), law.sample(50, seeded(3)))
    with pytest.raises(ValueError, match="count must be at least 1, got 0"):
        law.sample(0, seeded())


def test_shells_are_spheres_in_their_own_dimensions() -> None:
    law = Shells([[0, 0, 5], [9, 0, 0]], radius=2, empty_dimensions=5, image=(2, 2, 2))
    samples = law.sample(1000, seeded())
    assert samples.shape == (1000, 2, 2, 2)
    rows = samples.flatten(1).double()
    assert bool((rows[:, 3:] == 0).all())
    distances = torch.cdist(rows[:, :3], law.centres)
    near = distances.amin(dim=1)
    assert float((near - 2).abs().max()) <= 11 * torch.finfo(torch.float32).eps  # at coordinates up to 11
    assert 0.4 < float((distances.argmin(dim=1) == 0).float().mean()) < 0.6


def test_a_shell_in_one_dimension_is_two_points() -> None:
    samples = Shells([[3.0]], radius=1).sample(1000, seeded())
    assert samples.unique().tolist() == [2.0, 4.0]
    assert 0.4 < float((samples == 2.0).float().mean()) < 0.6


def test_the_weight_of_a_point_is_how_often_it_is_drawn() -> None:
    samples = Points([[1], [2], [3]], weights=[0, 1, 3]).sample(COUNT, seeded())
    assert samples.unique().tolist() == [2.0, 3.0]
    assert float((samples == 3.0).float().mean()) == pytest.approx(0.75, abs=4.5 * math.sqrt(0.1875 / COUNT))


def test_finite_samples_are_drawn_once_each() -> None:
    data = Empirical(np.arange(10.0))
    assert data.shape == (1,)
    assert data.sample(10, seeded()).flatten().sort().values.tolist() == list(range(10))
    assert data.sample(10, seeded()).flatten().tolist() != list(range(10))
    assert len(data.sample(4, seeded()).unique()) == 4
    with pytest.raises(UserError, match="11 samples were asked for, but there are only 10 samples in 1 dimension"):
        data.sample(11, seeded())


@pytest.mark.parametrize("share", [0.5, 0.2])
def test_parts_are_disjoint_always_alike_and_not_in_order(share: float) -> None:
    data = Empirical(torch.arange(200.0).reshape(100, 2, 1), held_out=share)
    seen, held_out = data.parts()
    assert (seen.size, held_out.size) == (round(100 * (1 - share)), round(100 * share))
    assert sorted(torch.cat([seen.samples, held_out.samples]).flatten().tolist()) == list(range(200))
    again = data.parts()
    assert torch.equal(again[1].samples, held_out.samples)
    assert float(held_out.samples.min()) < 100 < float(held_out.samples.max())


def test_held_out_samples_of_their_own_stay_held_out() -> None:
    data = Empirical([[0.0], [1.0], [2.0]], test=[[3.0], [4.0]])
    assert data.size == 5
    assert data.sample(5, seeded()).flatten().sort().values.tolist() == [0, 1, 2, 3, 4]
    seen, held_out = data.parts()
    assert (seen.samples.flatten().tolist(), held_out.samples.flatten().tolist()) == ([0, 1, 2], [3, 4])


def test_a_named_data_set_has_its_own_split() -> None:
    seen, held_out = named("digits").parts()
    assert (seen.size, held_out.size, named("digits").size) == (1347, 450, 1797)
    for split, part in (("train", seen), ("test", held_out)):
        assert torch.equal(named("digits", split=split).sample(9, seeded()), part.sample(9, seeded()))


def test_a_mixture_can_be_drawn_from_as_often_as_it_says() -> None:
    few, more = Empirical(np.arange(5.0)), Empirical(np.arange(50.0))
    assert Mixture([more, Gaussian(0), few], weights=[1, 1, 0]).size == 50
    law = Mixture([Gaussian(0), few, more], weights=[1, 20, 1])
    assert law.size == 5
    for seed in range(50):
        law.sample(5, torch.Generator().manual_seed(seed))


def test_a_mixture_divides_its_components() -> None:
    seen, held_out = Mixture([Empirical(np.arange(10.0)), Gaussian(100)], weights=[1, 1]).parts()
    drawn = [part.sample(6, seeded(1)).flatten() for part in (seen, held_out)]
    finite = [{value for value in samples.tolist() if value < 50} for samples in drawn]
    assert finite[0]
    assert finite[1]
    assert not finite[0] & finite[1]


def test_one_sample_cannot_be_divided() -> None:
    with pytest.raises(UserError, match="1 samples in 1 dimension cannot be divided"):
        Empirical([[1.0]]).parts()


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Points([[0.0], [math.nan]]), r"positions must be finite in float32, got \[\[0.0\], \[nan\]\]"),
        (lambda: Points([[1e39]]), "finite in float32"),
        (lambda: Points([]), "positions must hold at least one number"),
        (lambda: Points([["1"]]), "positions must be numbers"),
        (lambda: Points([[True]]), "positions must be numbers"),
        (lambda: Points([[0.0], [1.0]], weights=[1.0]), "weights must be 2 numbers, one for each of the points"),
        (lambda: Points([[0.0], [1.0]], weights=[0, 0]), "one of them above 0"),
        (lambda: Shells([[0, 0]], radius=0), "radius must be one number above 0, got 0"),
        (lambda: Shells([[0, 0]], radius=[1]), "radius must be one number above 0"),
        (lambda: Shells([0, 0], radius=1), "centres must be a list of vectors"),
        (lambda: Shells([[0, 0]], radius=1, empty_dimensions=-1), "empty_dimensions must be a whole number"),
        (lambda: Shells([[0, 0]], radius=1, empty_dimensions=1.0), "empty_dimensions must be a whole number"),
        (lambda: Shells([[0, 0]], radius=1, image=(1, 1)), r"image must be \(channels, height, width\)"),
        (lambda: Gaussian([0, 0], covariance=[[1.0]]), "covariance must be a matrix of 2 x 2 numbers"),
        (lambda: Gaussian([0, 0], std=[1, -1]), "std must be above 0"),
        (lambda: UniformCube([0, 0], [1, 0]), "low must be below high in every entry"),
        (lambda: Mixture([]), "at least one distribution"),
        (lambda: Empirical(np.zeros((0, 3))), r"samples must be one sample a row, got shape \(0, 3\)"),
        (lambda: Empirical(torch.tensor(1.0)), "one sample a row"),
        (lambda: Empirical(np.array([[0.0], [np.inf]])), r"sample 1 \(counted from 0\) is not"),
        (lambda: Empirical(np.array([[1j]])), "must be numbers, got an array of complex128"),
        (lambda: Empirical(torch.ones(2, 2, dtype=torch.bool)), "must be numbers, got a tensor of torch.bool"),
        (lambda: Empirical([[0.0]], test=[[0.0, 1.0]]), r"have shape \(1,\), those held out \(2,\)"),
        (lambda: Empirical([[0.0]], held_out=1.0), "held_out must be a share above 0 and below 1, got 1.0"),
    ],
)
def test_bad_values_are_one_sentence(make, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence) as refusal:
        make()
    assert "\n" not in str(refusal.value)


def test_a_component_must_be_a_distribution() -> None:
    with pytest.raises(TypeError, match=r"a component must be a distribution, got \[1\]"):
        Mixture([Gaussian(0), [1]])


def test_an_unknown_split_is_refused() -> None:
    with pytest.raises(UsageError, match="split must be 'train' or 'test', got 'valid'"):
        named("digits", split="valid")


def test_what_a_function_gives_is_checked_each_time() -> None:
    given = [torch.zeros(2, 3)]

    law = Function(lambda count, generator: given[0], name="mine")
    assert law.shape == (3,)
    assert law.sample(2, seeded()).shape == (2, 3)
    for wrong, sentence in [
        (torch.zeros(3, 3), "mine gave 3 samples when asked for 2"),
        (torch.zeros(2, 4), r"mine gave samples of shape \(4,\), and before \(3,\)"),
        (torch.full((2, 3), math.nan), "mine gave what cannot be used: samples must be finite"),
        ("text", "mine gave what cannot be used: samples must be numbers, got 'text'"),
        (None, "mine gave what cannot be used"),
    ]:
        given[0] = wrong
        with pytest.raises(UserError, match=sentence):
            law.sample(2, seeded())


def test_a_function_that_fails_is_named() -> None:
    with pytest.raises(UserError, match="broken fails when asked for 2 samples: IndexError: list index out of range"):
        Function(lambda count, generator: [][0], name="broken")
