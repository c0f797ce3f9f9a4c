"""Pictures kept as bytes are the same data as floats: inputs, fingerprints, batches, bit for bit."""

import hashlib
import os
from fractions import Fraction
from pathlib import Path

import pytest
import torch
from lightning_fabric import Fabric

from taut import data
from taut.data import Split, as_inputs
from taut.errors import UserError
from taut.training.augment import Augmentation
from taut.training.batches import HeldBatches

FABRIC = Fabric(accelerator="cpu", devices=1)


def bytes_and_floats(count: int) -> tuple[Split, Split]:
    """The same data held in both ways; the bytes not in the order of their memory, as files of EMNIST leave them."""
    generator = torch.Generator().manual_seed(0)
    held = torch.randint(0, 256, (count, 3, 5, 4), dtype=torch.uint8, generator=generator).transpose(2, 3)
    labels = torch.randint(0, 10, (count,), generator=generator)
    return Split(inputs=held, labels=labels), Split(inputs=held.float() / 255, labels=labels)


def test_each_byte_is_the_nearest_float32_to_its_fraction() -> None:
    found = as_inputs(torch.arange(256, dtype=torch.uint8))
    assert found.dtype == torch.float32
    for byte, value in enumerate(found):
        exact = Fraction(byte, 255)
        others = [torch.nextafter(value, torch.tensor(end)) for end in (-1.0, 2.0)]
        assert all(abs(Fraction(value.item()) - exact) < abs(Fraction(other.item()) - exact) for other in others)
    floats = torch.tensor([0.1, 0.9])
    assert as_inputs(floats) is floats


def test_inputs_of_bytes_are_those_of_floats_and_made_once() -> None:
    held, floats = bytes_and_floats(7)
    assert held.stored.dtype == torch.uint8
    assert torch.equal(held.inputs, floats.inputs)
    assert held.inputs is held.inputs
    assert floats.inputs is floats.stored
    assert len(held) == 7


def test_the_fingerprint_is_that_of_the_floats() -> None:
    held, floats = bytes_and_floats(2300)  # more than are hashed at once
    expected = hashlib.sha256(b"(2300, 3, 4, 5)")
    expected.update(floats.inputs.contiguous().numpy().tobytes())
    expected.update(floats.labels.numpy().tobytes())
    assert data.fingerprint(held) == data.fingerprint(floats) == expected.hexdigest()
    assert "inputs" not in vars(held)  # hashed without all floats in memory
    held.stored[2299, 2, 3, 4] ^= 1
    assert data.fingerprint(held) != expected.hexdigest()


def test_a_part_stays_bytes() -> None:
    held, floats = bytes_and_floats(9)
    index = torch.tensor([4, 0, 8])
    part = data.take(held, index)
    assert part.stored.dtype == torch.uint8
    assert torch.equal(part.inputs, floats.inputs[index])


@pytest.mark.parametrize("augmentation", [Augmentation(), Augmentation(shift=2, flip=True, jitter=0.3)])
def test_batches_of_bytes_are_those_of_floats(augmentation: Augmentation) -> None:
    made = [
        HeldBatches(
            (split.stored, split.labels),
            batch_size=16,
            epochs=2,
            seed=3,
            augmentation=augmentation,
            fabric=FABRIC,
        )
        for split in bytes_and_floats(50)
    ]
    assert made[0].tensors[0].dtype == torch.uint8
    for step in range(made[0].steps):
        (inputs, labels), (expected, wanted) = (batches.batch(step) for batches in made)
        assert inputs.dtype == torch.float32
        assert torch.equal(inputs, expected)
        assert torch.equal(labels, wanted)


def test_bytes_need_no_range_and_labels_are_still_checked() -> None:
    held, _ = bytes_and_floats(4)
    data.check_split(held, "mine", 10)
    with pytest.raises(UserError, match=r"mine has labels 0\.\.7, allowed are 0\.\.6"):
        data.check_split(Split(inputs=held.stored, labels=torch.tensor([0, 7, 1, 1])), "mine", 7)


@pytest.mark.skipif("TAUT_DATA_ROOT" not in os.environ, reason="TAUT_DATA_ROOT is not set: no MNIST files")
def test_the_fingerprint_of_mnist_is_what_it_was_when_it_was_held_as_floats() -> None:
    found = data.fingerprint(data.load("mnist").test)
    assert found == "8564f5bfda8af07b7c7824df205dbbfcaa7954ea70793992e4e2c5b8794d989f"


def test_classifiers_are_trained_from_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from taut.cli import main
    from taut.tasks.classification import run

    for stem, count in (("train", 20), ("t10k", 10)):
        sizes = [number.to_bytes(4, "big") for number in (count, 28, 28)]
        (tmp_path / f"{stem}-images-idx3-ubyte").write_bytes(bytes([0, 0, 8, 3]) + b"".join(sizes) + bytes(count * 784))
        (tmp_path / f"{stem}-labels-idx1-ubyte").write_bytes(bytes([0, 0, 8, 1]) + sizes[0] + bytes(count))
    jobs = []

    def kept(job: object, **options: object) -> None:
        jobs.append(job)
        raise UserError("as far as the test goes")

    monkeypatch.setattr(run, "fit", kept)
    command = ["train", "mnist", "--data-root", tmp_path, "--batch-size", 4, "--accelerator", "cpu", "--width", 16]
    assert main([*map(str, command), "--out", str(tmp_path / "out")]) == 1
    assert jobs[0].tensors[0].dtype == torch.uint8
