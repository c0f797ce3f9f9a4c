"""Named data sets: what they hold, where their files are looked for, and what is said when they are not there."""

import gzip
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from taut import data
from taut.errors import UsageError, UserError


def write_idx(path: Path, array: np.ndarray) -> None:
    sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
    content = bytes([0, 0, 8, array.ndim]) + sizes + array.astype(np.uint8).tobytes()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


def write_mnist(folder: Path, *, suffix: str = "", train: int = 20, test: int = 10) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    for stem, count in (("train", train), ("t10k", test)):
        write_idx(folder / f"{stem}-images-idx3-ubyte{suffix}", rng.integers(0, 256, (count, 28, 28)))
        write_idx(folder / f"{stem}-labels-idx1-ubyte{suffix}", rng.integers(0, 10, count))


def test_digits_are_split_by_class_and_scaled_once() -> None:
    digits = data.load("digits")
    assert len(digits.train) + len(digits.test) == 1797
    assert abs(len(digits.test) - 1797 / 4) < 1
    whole = torch.cat([digits.train.labels, digits.test.labels]).bincount()
    assert ((digits.test.labels.bincount() - whole / 4).abs() < 1).all()
    assert float(digits.train.inputs.max()) == 1.0
    assert len(torch.unique(digits.train.inputs)) == 17


def test_the_digits_split_does_not_depend_on_the_seed() -> None:
    torch.manual_seed(1)
    np.random.seed(1)  # noqa: NPY002 - the global state is the point
    first = data.fingerprint(data.load("digits").test)
    torch.manual_seed(2)
    np.random.seed(2)  # noqa: NPY002
    assert data.fingerprint(data.load("digits").test) == first


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
@pytest.mark.parametrize("nested", [False, True])
def test_idx_files_are_found_in_the_root_and_in_its_subfolder(
    tmp_path: Path, suffix: str, name: str, nested: bool
) -> None:
    write_mnist(tmp_path / name if nested else tmp_path, suffix=suffix)
    found = data.load(name, tmp_path)
    assert found.problem.shape == (1, 28, 28)
    assert (len(found.train), len(found.test)) == (20, 10)


def test_pixels_are_divided_by_255_once(tmp_path: Path) -> None:
    write_mnist(tmp_path)
    pixels = data.read_idx(tmp_path / "train-images-idx3-ubyte")
    assert torch.equal(data.load("mnist", tmp_path).train.inputs[:, 0], pixels.float() / 255)


def test_the_root_is_taken_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_mnist(tmp_path)
    monkeypatch.setenv("TAUT_DATA_ROOT", str(tmp_path))
    assert len(data.load("mnist").train) == 20
    monkeypatch.delenv("TAUT_DATA_ROOT")
    with pytest.raises(UserError, match="--data-root DIR or set TAUT_DATA_ROOT"):
        data.load("mnist")


def test_missing_files_are_named_with_where_they_were_looked_for(tmp_path: Path) -> None:
    write_mnist(tmp_path / "mnist")
    (tmp_path / "mnist" / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(UserError, match="missing t10k-labels-idx1-ubyte in ") as refusal:
        data.load("mnist", tmp_path)
    assert f" in {tmp_path / 'mnist'};" in str(refusal.value)
    assert "https://" in str(refusal.value)


def test_files_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    write_mnist(tmp_path)
    write_idx(tmp_path / "train-labels-idx1-ubyte", np.zeros(19))
    with pytest.raises(UserError, match="must hold 20 labels"):
        data.load("mnist", tmp_path)
    write_idx(tmp_path / "train-labels-idx1-ubyte", np.full(20, 10))
    with pytest.raises(UserError, match=r"labels 10\.\.10, allowed are 0\.\.9"):
        data.load("mnist", tmp_path)
    write_idx(tmp_path / "train-images-idx3-ubyte", np.zeros((20, 27, 28)))
    with pytest.raises(UserError, match="must hold 28x28 pictures"):
        data.load("mnist", tmp_path)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda x: x[1].fill_(float("nan")), "not finite, first in sample 1"),
        (lambda x: x.mul_(255), r"must lie in \[0, 1\]"),
        (lambda x: x[0].fill_(-0.25), r"span \[-0.25"),
    ],
)
def test_inputs_outside_the_unit_box_are_refused(change, reason: str) -> None:
    inputs = torch.rand(3, 2)
    inputs[0, 0] = 1.0
    change(inputs)
    with pytest.raises(UserError, match=reason):
        data.check_split(data.Split(inputs=inputs, labels=torch.zeros(3, dtype=torch.int64)), "mine", 2)


def test_the_fingerprint_sees_every_bit() -> None:
    inputs, labels = torch.rand(3, 2), torch.tensor([0, 1, 1])
    first = data.fingerprint(data.Split(inputs=inputs, labels=labels))
    other = inputs.clone()
    other[2, 1] = torch.nextafter(other[2, 1], torch.tensor(2.0))
    assert data.fingerprint(data.Split(inputs=other, labels=labels)) != first
    assert data.fingerprint(data.Split(inputs=inputs, labels=labels.flip(0))) != first
    assert data.fingerprint(data.Split(inputs=inputs.clone(), labels=labels)) == first


def test_unknown_names_are_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match="known are cifar10, cifar100, digits"):
        data.load("digit")


@pytest.mark.skipif("TAUT_DATA_ROOT" not in os.environ, reason="TAUT_DATA_ROOT is not set: no MNIST files")
def test_the_real_mnist_is_complete() -> None:
    mnist = data.load("mnist")
    assert (len(mnist.train), len(mnist.test)) == (60000, 10000)
    assert mnist.train.labels[:5].tolist() == [5, 0, 4, 1, 9]
    assert mnist.test.labels.bincount().tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
