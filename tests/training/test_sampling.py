"""The order of the samples depends on seed and epoch alone, and processes share each global batch."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from taut.errors import UsageError
from taut.training.augment import Augmentation, jitter_images, shift_images
from taut.training.sampling import epoch_plan

ALL = Augmentation(shift=2, flip=True, jitter=0.3)


@settings(max_examples=40, deadline=None)
@given(
    samples=st.integers(8, 60),
    local=st.integers(1, 4),
    world=st.sampled_from([1, 2]),
    seed=st.integers(0, 2**40),
    epoch=st.integers(0, 50),
)
def test_processes_cut_the_same_global_batches(samples: int, local: int, world: int, seed: int, epoch: int) -> None:
    batch = local * world
    asked = {"batch_size": batch, "seed": seed, "epoch": epoch, "augmentation": ALL}
    whole = epoch_plan(samples, **asked)
    parts = [epoch_plan(samples, rank=rank, world_size=world, **asked) for rank in range(world)]
    assert torch.equal(torch.cat([part.index for part in parts], dim=1), whole.index)
    for name in ("shift", "flip", "jitter"):
        joined = torch.cat([getattr(part.views, name) for part in parts], dim=1)
        assert torch.equal(joined, getattr(whole.views, name))
    assert whole.index.shape == (samples // batch, batch)
    assert len(whole.index.unique()) == whole.index.numel()
    assert 0 <= int(whole.index.min()) <= int(whole.index.max()) < samples
    views = whole.views
    assert -2 <= int(views.shift.min()) <= int(views.shift.max()) <= 2
    assert 0.7 <= float(views.jitter.min()) <= float(views.jitter.max()) <= 1.3


def test_no_sample_is_dropped_for_long() -> None:
    seen = torch.cat([epoch_plan(10, batch_size=4, seed=0, epoch=epoch).index.flatten() for epoch in range(20)])
    assert len(seen.unique()) == 10


def test_epochs_and_seeds_differ_and_global_state_does_not_matter() -> None:
    def order(seed: int, epoch: int) -> list[int]:
        torch.manual_seed(123 + epoch)
        return epoch_plan(50, batch_size=50, seed=seed, epoch=epoch).index[0].tolist()

    assert order(0, 0) == order(0, 0)
    assert len({tuple(order(seed, epoch)) for seed in range(3) for epoch in range(3)}) == 9


@pytest.mark.parametrize(
    ("batch", "world", "reason"),
    [
        (0, 1, "at least 1, got 0"),
        (11, 1, "larger than the training split of 10"),
        (5, 2, "multiple of the 2 processes"),
    ],
)
def test_batches_that_do_not_exist_are_refused(batch: int, world: int, reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        epoch_plan(10, batch_size=batch, seed=0, epoch=0, world_size=world)


def naive_shift(image: torch.Tensor, down: int, right: int) -> torch.Tensor:
    moved = torch.zeros_like(image)
    for row in range(image.shape[1]):
        for column in range(image.shape[2]):
            if 0 <= row - down < image.shape[1] and 0 <= column - right < image.shape[2]:
                moved[:, row, column] = image[:, row - down, column - right]
    return moved


def test_each_picture_moves_by_its_own_shift() -> None:
    images = torch.rand(9, 2, 3, 4)
    shift = torch.tensor([[down, right] for down in (-1, 0, 3) for right in (-2, 0, 1)])
    expected = torch.stack([naive_shift(image, *move.tolist()) for image, move in zip(images, shift, strict=True)])
    assert torch.equal(shift_images(images, shift), expected)


def test_views_are_drawn_over_their_whole_range_and_applied_in_order() -> None:
    views = ALL.draw(4000, seed=1, epoch=0)
    assert views.shift.unique().tolist() == [-2, -1, 0, 1, 2]
    assert 0.45 < float(views.flip.float().mean()) < 0.55  # six standard errors
    assert float(views.jitter.min()) < 0.71 < 1.29 < float(views.jitter.max())
    images = torch.rand(4000, 3, 4, 4)
    seen = views.apply(images)
    for i in range(8):
        moved = naive_shift(images[i], *views.shift[i].tolist())
        flipped = torch.stack(list(reversed(moved.unbind(2))), 2) if views.flip[i] else moved
        expected = jitter_images(flipped[None], views.jitter[i : i + 1])[0]
        assert torch.equal(seen[i], expected)
    assert not Augmentation().active
    assert epoch_plan(10, batch_size=5, seed=0, epoch=0, augmentation=Augmentation()).views is None


def test_jitter_is_what_pillow_makes_of_it_up_to_its_rounding_to_bytes() -> None:
    from PIL import Image, ImageEnhance

    levels = torch.randint(0, 256, (6, 5, 7, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    factors = torch.tensor([[b, c, s] for b in (0.6, 1.3) for c, s in ((0.7, 1.4), (1.25, 0.5), (1.0, 1.0))])
    seen = jitter_images(levels.permute(0, 3, 1, 2) / 255, factors).permute(0, 2, 3, 1) * 255
    for picture, made, (brightness, contrast, saturation) in zip(levels, seen, factors.tolist(), strict=True):
        image = ImageEnhance.Brightness(Image.fromarray(picture.numpy())).enhance(brightness)
        image = ImageEnhance.Color(ImageEnhance.Contrast(image).enhance(contrast)).enhance(saturation)
        expected = torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8).view(5, 7, 3).float()
        # Three roundings to whole levels, each stretched by what follows; the grey levels round as well.
        assert float((made - expected).abs().max()) < 4


def test_jitter_of_grey_pictures_has_no_saturation() -> None:
    images = torch.rand(2, 1, 4, 4)
    weak, strong = (jitter_images(images, torch.tensor([[1.0, 1.1, s]] * 2)) for s in (0.5, 1.5))
    assert torch.allclose(weak, strong, atol=4 * torch.finfo(torch.float32).eps)
