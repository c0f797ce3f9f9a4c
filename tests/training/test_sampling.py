"""The order of the samples depends on seed and epoch alone, and processes share each global batch."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from taut.errors import UsageError
from taut.training.augment import shift_images
from taut.training.sampling import epoch_plan


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
    whole = epoch_plan(samples, batch_size=batch, seed=seed, epoch=epoch, max_shift=2)
    parts = [
        epoch_plan(samples, batch_size=batch, seed=seed, epoch=epoch, rank=rank, world_size=world, max_shift=2)
        for rank in range(world)
    ]
    assert torch.equal(torch.cat([part.index for part in parts], dim=1), whole.index)
    assert whole.shift is not None
    assert torch.equal(torch.cat([part.shift for part in parts if part.shift is not None], dim=1), whole.shift)
    assert whole.index.shape == (samples // batch, batch)
    assert len(whole.index.unique()) == whole.index.numel()
    assert 0 <= int(whole.index.min()) <= int(whole.index.max()) < samples
    assert -2 <= int(whole.shift.min()) <= int(whole.shift.max()) <= 2


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
