"""Data sets of coloured pictures are read from each form on disk, exactly, or refused with what is wrong."""

import io
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from PIL import Image
from pyarrow import parquet
from scipy.io import savemat

from taut import data
from taut.data.lsun import spread
from taut.data.parquet import read_parquet
from taut.errors import UserError

LABELS = {"cifar10": "label", "cifar100": "fine_label", "svhn": "label"}


def pictures(count: int, side: int = 32, seed: int = 0) -> np.ndarray:
    """Random pictures of shape (count, 3, side, side), as bytes."""
    return np.random.default_rng(seed).integers(0, 256, (count, 3, side, side), dtype=np.uint8)


def png(picture: np.ndarray) -> bytes:
    """The PNG file of a picture of shape (3, height, width)."""
    file = io.BytesIO()
    Image.fromarray(picture.transpose(1, 2, 0)).save(file, format="PNG")
    return file.getvalue()


def write_parquet(path: Path, x: np.ndarray, y: list, *, column: str = "img", label: str = "label") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cells = [{"bytes": png(picture), "path": None} for picture in x]
    parquet.write_table(pa.table({column: cells, label: pa.array(y, pa.int64())}), path)


def write_splits(folder: Path, name: str, *, column: str = "img") -> None:
    for split, count in (("train", 6), ("test", 3)):
        x = pictures(count, seed=len(split))
        write_parquet(folder / f"{split}.parquet", x, list(range(count)), column=column, label=LABELS[name])


def write_cifar10_binary(folder: Path) -> dict[str, np.ndarray]:
    folder.mkdir(parents=True)
    records = {}
    for number, name in enumerate([*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]):
        labels = np.full((2, 1), number, np.uint8)
        records[name] = np.concatenate([labels, pictures(2, seed=number).reshape(2, -1)], axis=1)
        records[name].tofile(folder / f"{name}.bin")
    return records


def write_svhn(folder: Path, labels: list[int]) -> np.ndarray:
    folder.mkdir(parents=True, exist_ok=True)
    x = pictures(len(labels))
    for split in ("train", "test"):
        savemat(folder / f"{split}_32x32.mat", {"X": x.transpose(2, 3, 1, 0), "y": np.array(labels)[:, None]})
    return x


def assert_bytes(found: torch.Tensor, expected: np.ndarray) -> None:
    assert found.dtype == torch.float32
    assert torch.equal(found, torch.from_numpy(expected).float() / 255)


@pytest.mark.parametrize("column", ["img", "image"])
@pytest.mark.parametrize("name", LABELS)
@pytest.mark.parametrize("below", [True, False])
def test_parquet_is_read_in_order_and_divided_once(tmp_path: Path, name: str, column: str, below: bool) -> None:
    write_splits(tmp_path / name if below else tmp_path, name, column=column)
    found = data.load(name, tmp_path)
    assert_bytes(found.train.inputs, pictures(6, seed=5))
    assert_bytes(found.test.inputs, pictures(3, seed=4))
    assert found.train.labels.tolist() == list(range(6))
    assert found.problem == data.problem(name)
    assert found.problem.shape == (3, 32, 32)
    assert len(set(found.problem.classes)) == (100 if name == "cifar100" else 10)


def test_shards_are_joined_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    folder = tmp_path / "cifar10" / "plain_text"
    for number in (2, 0, 1):
        write_parquet(folder / f"train-{number:05d}-of-00003.parquet", pictures(2), [number, 9])
    write_parquet(folder / "test-00000-of-00001.parquet", pictures(1), [3])
    assert data.load("cifar10", tmp_path).train.labels.tolist() == [0, 9, 1, 9, 2, 9]
    (folder / "train-00001-of-00003.parquet").unlink()
    with pytest.raises(UserError, match=r"not complete: missing train-00001-of-00003\.parquet in .*plain_text"):
        data.load("cifar10", tmp_path)
    write_parquet(folder / "train-00001-of-00002.parquet", pictures(2), [0, 0])
    with pytest.raises(UserError, match="mixes train files of 2 and 3 parts"):
        data.load("cifar10", tmp_path)


def test_cifar10_from_its_binary_version(tmp_path: Path) -> None:
    records = write_cifar10_binary(tmp_path / "cifar-10-batches-bin")
    found = data.load("cifar10", tmp_path)
    assert found.train.labels.tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    assert found.test.labels.tolist() == [5, 5]
    assert_bytes(found.train.inputs[6:8], records["data_batch_4"][:, 1:].reshape(2, 3, 32, 32))


def test_cifar100_from_its_binary_version_has_the_fine_labels(tmp_path: Path) -> None:
    (tmp_path / "cifar100").mkdir()
    x = pictures(2)
    for split in ("train", "test"):
        labels = np.array([[19, 99], [3, 0]], np.uint8)  # coarse, fine
        np.concatenate([labels, x.reshape(2, -1)], axis=1).tofile(tmp_path / "cifar100" / f"{split}.bin")
    found = data.load("cifar100", tmp_path)
    assert [found.problem.classes[label] for label in found.train.labels] == ["worm", "apple"]
    assert_bytes(found.test.inputs, x)


@pytest.mark.parametrize(
    ("name", "files"),
    [("cifar10", ["data_batch_1", "test_batch"]), ("cifar100", ["train", "test", "meta"])],
)
def test_pickles_are_refused_unread(tmp_path: Path, name: str, files: list[str]) -> None:
    for file in files:
        (tmp_path / file).write_bytes(b"cos\nsystem\n(S'touch ran'\ntR.")
    with pytest.raises(UserError, match=f"pickles, which are refused .* take the binary version, {name[:5]}-10"):
        data.load(name, tmp_path)


def test_ten_is_the_digit_zero_in_the_files_of_svhn(tmp_path: Path) -> None:
    x = write_svhn(tmp_path / "svhn", [10, 1, 9])
    found = data.load("svhn", tmp_path)
    assert found.train.labels.tolist() == [0, 1, 9]
    assert_bytes(found.test.inputs, x)


def test_the_columns_of_stl10_come_first(tmp_path: Path) -> None:
    x = pictures(2, side=96)
    for split in ("train", "test"):
        x.transpose(0, 1, 3, 2).tofile(tmp_path / f"{split}_X.bin")
        np.array([1, 10], np.uint8).tofile(tmp_path / f"{split}_y.bin")
    found = data.load("stl10", tmp_path)
    assert_bytes(found.train.inputs, x)
    assert found.train.labels.tolist() == [0, 9]
    np.array([1, 0], np.uint8).tofile(tmp_path / "test_y.bin")
    with pytest.raises(UserError, match="classes from 1 to 10, but it holds 0"):
        data.load("stl10", tmp_path)


def test_bedrooms_are_cropped_to_the_centre_and_every_tenth_is_held_out(tmp_path: Path) -> None:
    folder = tmp_path / "lsun-bedroom" / "a"
    folder.mkdir(parents=True)
    wide = np.zeros((3, 128, 256), np.uint8)
    wide[0, :, 64:192] = 200  # the square in the centre, in red
    for number in range(10):
        Image.fromarray(np.where(wide, 250 - number, 0).astype(np.uint8).transpose(1, 2, 0)).save(
            folder / f"{number}.png"
        )
    found = data.load("lsun-bedroom", tmp_path)
    assert (len(found.train), len(found.test)) == (9, 1)
    assert found.problem.classes == ("bedroom",)
    inside = found.test.inputs[0, :, :, 2:-2]  # bicubic interpolation sees two pixels beyond the edge
    assert_bytes(inside[0], np.full((64, 60), 241, np.uint8))
    assert float(inside[1:].max()) == 0
    (folder / "train").mkdir()
    (folder / "0.png").rename(folder / "train" / "0.png")
    (folder / "val").mkdir()
    (folder / "9.png").rename(folder / "val" / "9.png")
    own = data.load("lsun-bedroom", folder)
    assert (len(own.train), len(own.test)) == (1, 1)
    assert torch.equal(own.test.inputs, found.test.inputs)


def test_no_other_data_set_becomes_bedrooms(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "a.png").write_bytes(png(pictures(1)[0]))
    with pytest.raises(UserError, match="lsun-bedroom is not there"):
        data.load("lsun-bedroom", tmp_path)


def test_of_too_many_files_some_are_taken_from_everywhere() -> None:
    files = [Path(str(number)) for number in range(10)]
    assert spread(files, 4) == [files[0], files[2], files[5], files[7]]
    assert spread(files, 20) == files


def write_folder(root: Path, *, mode: str = "RGB", size: tuple[int, int] = (6, 4)) -> None:
    for number, name in enumerate(["train/cat/0", "train/dog/1", "train/dog/2", "test/dog/3"]):
        path = root / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new(mode, size, number).save(path)


@pytest.mark.parametrize(("mode", "channels"), [("RGB", 3), ("L", 1)])
def test_folders_are_classes(tmp_path: Path, mode: str, channels: int) -> None:
    write_folder(tmp_path, mode=mode)
    found = data.load("image-folder", tmp_path)
    assert found.problem == data.problem("image-folder", tmp_path)
    assert found.problem == data.Problem(shape=(channels, 4, 6), classes=("cat", "dog"))
    assert found.train.labels.tolist() == [0, 1, 1]
    assert found.test.labels.tolist() == [1]
    assert_bytes(found.train.inputs[:, 0, 0, 0], np.array([0, 1, 2], np.uint8))


def test_a_grey_picture_may_stand_among_coloured_ones_but_not_the_reverse(tmp_path: Path) -> None:
    write_folder(tmp_path)
    Image.new("L", (6, 4), 7).save(tmp_path / "train" / "dog" / "1.png")
    assert_bytes(data.load("image-folder", tmp_path).train.inputs[1], np.full((3, 4, 6), 7, np.uint8))
    Image.new("L", (6, 4), 7).save(tmp_path / "train" / "cat" / "0.png")
    with pytest.raises(UserError, match=r"2\.png is in colour, but the data set's first picture is grey"):
        data.load("image-folder", tmp_path)


def spoil_folder(change):
    return "image-folder", lambda root: (write_folder(root), change(root))


def spoil_parquet(change):
    return "cifar10", lambda root: (write_splits(root, "cifar10"), change(root / "train.parquet"))


def spoil_binary(change):
    return "cifar10", lambda root: (write_cifar10_binary(root / "cifar10"), change(root / "cifar10"))


def spoil_svhn(change):
    return "svhn", lambda root: (write_svhn(root, [1, 2]), change(root / "train_32x32.mat"))


def cut(path: Path, keep: int) -> None:
    path.write_bytes(path.read_bytes()[:keep])


def write_paths(path: Path) -> None:
    cells = pa.array([{"path": "a.png"}], pa.struct([("bytes", pa.binary()), ("path", pa.string())]))
    parquet.write_table(pa.table({"img": cells, "label": [0]}), path)


@pytest.mark.parametrize(
    ("spoiled", "reason"),
    [
        (spoil_folder(lambda r: Image.new("RGB", (6, 5)).save(r / "test/dog/3.png")), r"3\.png is 6x5, but .* is 6x4"),
        (spoil_folder(lambda r: Image.new("RGBA", (6, 4)).save(r / "train/dog/2.png")), "but its mode is RGBA"),
        (spoil_folder(lambda r: Image.new("I;16", (6, 4)).save(r / "train/cat/0.png")), "but its mode is I;16"),
        (spoil_folder(lambda r: cut(r / "train/cat/0.png", 30)), r"0\.png is not a picture, or is damaged|is damaged"),
        (spoil_folder(lambda r: cut(r / "train/dog/2.png", 45)), r"2\.png is damaged"),
        (spoil_folder(lambda r: (r / "train/cat/0.png").unlink()), "cat has no pictures"),
        (spoil_folder(lambda r: (r / "train/dog").rename(r / "train/fox")), "dog is a class that the training split"),
        (spoil_folder(lambda r: (r / "test").rename(r / "held")), "has folders train and test"),
        (spoil_folder(lambda r: (r / "test/dog").rename(r / "test/.dog")), "has no class folders"),
        (spoil_parquet(lambda p: cut(p, 500)), r"train\.parquet is damaged"),
        (spoil_parquet(lambda p: cut(p, 0)), r"train\.parquet is damaged"),
        (spoil_parquet(lambda p: p.unlink()), r"not complete: missing train\.parquet in"),
        (spoil_parquet(lambda p: write_parquet(p, pictures(2, 31), [0, 1])), r"\(3, 32, 32\), but it is \(3, 31, 31\)"),
        (spoil_parquet(lambda p: write_parquet(p, pictures(2), [0, 10])), r"labels 0\.\.10, allowed are 0\.\.9"),
        (spoil_parquet(lambda p: write_parquet(p, pictures(2), [0, None])), "picture 1 of .* has no label"),
        (spoil_parquet(lambda p: write_parquet(p, pictures(0), [])), "must hold encoded pictures|is empty"),
        (spoil_parquet(lambda p: write_parquet(p, pictures(2), [0, 1], label="y")), "but its columns are img, y"),
        (spoil_parquet(write_paths), "picture 0 of .* is empty: the file must hold pictures"),
        (
            spoil_parquet(lambda p: parquet.write_table(pa.table({"img": [b"GIF8"], "label": [0]}), p)),
            r"picture 0 of .*train\.parquet is not a picture",
        ),
        (
            spoil_parquet(lambda p: parquet.write_table(pa.table({"img": ["a.png"], "label": [0]}), p)),
            "column img .* must hold encoded pictures as bytes, but it holds string",
        ),
        (
            spoil_parquet(lambda p: parquet.write_table(pa.table({"img": [b"a"], "label": ["cat"]}), p)),
            "column label .* must hold integers, but it holds string",
        ),
        (spoil_binary(lambda r: cut(r / "data_batch_3.bin", 6145)), r"data_batch_3\.bin is damaged: .* has 6145 bytes"),
        (spoil_binary(lambda r: cut(r / "test_batch.bin", 0)), "has 0 bytes"),
        (spoil_binary(lambda r: (r / "data_batch_2.bin").unlink()), r"not complete: missing data_batch_2\.bin in"),
        (spoil_svhn(lambda p: cut(p, 1000)), r"train_32x32\.mat is damaged"),
        (spoil_svhn(lambda p: savemat(p, {"X": pictures(2)})), "but it lacks y"),
        (spoil_svhn(lambda p: savemat(p, {"X": pictures(2) / 2, "y": [1, 2]})), "must be unsigned bytes of 4 dim"),
        (spoil_svhn(lambda p: savemat(p, {"X": pictures(32), "y": [1]})), r"but theirs is \(32, 32, 3\)"),
        (spoil_svhn(lambda p: savemat(p, {"X": pictures(2).T, "y": [1]})), "has 2 pictures, but there are 1 labels"),
        (spoil_svhn(lambda p: savemat(p, {"X": pictures(2).T, "y": [0, 1]})), "must hold integers from 1 to 10"),
    ],
)
def test_what_is_spoiled_is_refused_with_the_reason(tmp_path: Path, spoiled, reason: str) -> None:
    name, spoil = spoiled
    spoil(tmp_path)
    with pytest.raises(UserError, match=reason) as refusal:
        data.load(name, tmp_path)
    assert "\n" not in str(refusal.value)
    assert str(tmp_path) in str(refusal.value) or f"the training split of {name}" in str(refusal.value)


@pytest.mark.parametrize("name", [name for name in data.names() if name != "digits"])
def test_where_a_set_was_looked_for_and_where_it_is_found(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UserError, match=f"{name} is not") as refusal:
        data.load(name, tmp_path)
    assert str(tmp_path / name) in str(refusal.value)
    assert "http" in str(refusal.value) or name == "image-folder"
    monkeypatch.delenv("TAUT_DATA_ROOT", raising=False)
    with pytest.raises(UserError, match="--data-root DIR or set TAUT_DATA_ROOT"):
        data.load(name)


@pytest.mark.parametrize(
    ("library", "name", "extra"),
    [("PIL", "cifar10", "app,data"), ("pyarrow", "cifar10", "data"), ("scipy.io", "svhn", "data")],
)
def test_a_missing_library_is_named_with_its_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, library: str, name: str, extra: str
) -> None:
    write_splits(tmp_path, "cifar10")
    write_svhn(tmp_path, [1])
    monkeypatch.setitem(__import__("sys").modules, library, None)
    with pytest.raises(UserError, match=rf'missing: pip install "taut\[{extra}\]"'):
        data.load(name, tmp_path)


def test_a_folder_that_may_not_be_read_is_an_error_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_splits(tmp_path, "cifar10")

    def refuse(path: Path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "iterdir", refuse)
    (tmp_path / "cifar10").mkdir()
    with pytest.raises(UserError, match="cannot read .*cifar10: Permission denied"):
        data.load("cifar10", tmp_path)


@pytest.mark.skipif("TAUT_DATA_ROOT" not in os.environ, reason="TAUT_DATA_ROOT is not set: no CIFAR-10 files")
def test_the_real_cifar10_is_complete() -> None:
    root = Path(os.environ["TAUT_DATA_ROOT"]) / "cifar10"
    assert parquet.ParquetFile(root / "train.parquet").metadata.num_rows == 50000
    x, y = read_parquet([root / "test.parquet"], (3, 32, 32), ["label"])  # the other file takes five times as long
    assert y.bincount().tolist() == [1000] * 10
    mean = x.double().mean(dim=(0, 2, 3)) / 255
    assert torch.allclose(mean, torch.tensor([0.494, 0.485, 0.450], dtype=torch.float64), atol=2e-3)
