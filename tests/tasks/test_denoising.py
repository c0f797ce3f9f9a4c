"""What a denoiser learns from and is compared with: patches, noise, and the weight of total variation."""

import pytest
import torch

from taut.data.images import ImageSet
from taut.imaging import tv_denoiser
from taut.imaging.metrics import psnr
from taut.tasks.denoising.config import Config, DataConfig, ModelConfig
from taut.tasks.denoising.measure import measure, noisy_picture, tune_tv
from taut.tasks.denoising.parts import build_networks
from taut.tasks.denoising.patches import Patches
from taut.training.seeding import stream


def numbered(height: int, width: int, first: int) -> torch.Tensor:
    return (torch.arange(height * width, dtype=torch.uint8) + first).reshape(1, height, width)


def test_every_square_in_each_of_its_positions_is_drawn_as_often() -> None:
    pictures = [numbered(3, 3, 0), numbered(2, 4, 100)]  # four and three squares of 2 x 2
    drawn = Patches(pictures, 2).draw(7 * 8 * 200, stream(0)) * 255
    kinds, counts = torch.unique(drawn.round().flatten(1), dim=0, return_counts=True)
    squares = {
        tuple(turned.flatten().tolist())
        for picture in pictures
        for top in range(picture.shape[1] - 1)
        for left in range(picture.shape[2] - 1)
        for square in [picture[0, top : top + 2, left : left + 2]]
        for mirrored in (square, square.flip(1))
        for turned in (mirrored.rot90(k) for k in range(4))
    }
    assert {tuple(kind) for kind in kinds.int().tolist()} == squares
    assert (counts - 200).abs().max() < 5 * 200**0.5  # standard errors of a count


def test_a_process_cuts_its_share_of_the_same_patches() -> None:
    patches = Patches([numbered(9, 12, 0)], 4)
    whole = patches.draw(6, stream(1))
    parts = [patches.draw(6, stream(1), kept=part) for part in (slice(0, 2), slice(2, 6))]
    assert torch.equal(torch.cat(parts), whole)


def blocks(name: str, count: int) -> ImageSet:
    generator = torch.Generator().manual_seed(count)
    levels = torch.randint(30, 226, (count, 1, 6, 6), generator=generator).repeat_interleave(8, 2)
    pixels = tuple(levels.repeat_interleave(8, 3).to(torch.uint8))
    return ImageSet(name=name, titles=tuple(map(str, range(count))), pixels=pixels)


def test_the_weight_of_total_variation_is_the_best_on_training_pictures() -> None:
    train, sigma = blocks("train", 4), 25.0
    weight = tune_tv(train, sigma=sigma)

    def value(factor: float) -> float:
        restore = tv_denoiser(weight=factor * weight)
        return float(measure(restore, train, sigma=sigma, count=4).psnr.mean())

    assert value(1.0) > max(value(0.8), value(1.25))


def test_noise_has_its_level_and_is_the_same_every_time() -> None:
    pictures = blocks("test", 3)
    noise = [noisy_picture(pictures, index, 15.0) - pictures.picture(index) for index in range(3)]
    assert torch.equal(noisy_picture(pictures, 0, 15.0), pictures.picture(0) + noise[0])
    assert not torch.equal(noise[0], noise[1])
    deviations = torch.stack(noise).std() * 255
    assert abs(deviations - 15) < 5 * 15 / (2 * torch.stack(noise).numel()) ** 0.5
    found = measure(lambda y: y, pictures, sigma=15.0, count=2)
    expected = [float(psnr(noisy_picture(pictures, i, 15.0)[None], pictures.picture(i)[None])) for i in range(2)]
    assert torch.allclose(found.psnr, torch.tensor(expected, dtype=torch.float64), atol=1e-4)


def test_the_start_follows_the_noise() -> None:
    config = Config(data=DataConfig(sigma=51.0), model=ModelConfig(activation="n-activation", depth=2, threshold=0.5))
    networks = build_networks(config)
    thresholds = networks["denoiser"][1].thresholds
    assert torch.allclose(thresholds.abs(), torch.full((2, 32), 0.5 * 51 / 255))


@pytest.mark.parametrize("change", [{"activation": "max-min"}, {"depth": 3}, {"convolution": "sll"}])
def test_what_cannot_start_as_shrinkage_starts_at_random(change: dict) -> None:
    one, other = (
        ModelConfig(**{"activation": "n-activation", "depth": 2, "threshold": t, **change}) for t in (0.0, 0.5)
    )
    built = []
    for model in (one, other):
        torch.manual_seed(0)
        built.append(build_networks(Config(model=model)))
    states = [networks.state_dict() for networks in built]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
