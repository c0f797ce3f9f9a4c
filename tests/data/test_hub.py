"""Data sets that were fetched from the Hugging Face hub are found where its client leaves them; else one sentence."""

import io
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from pyarrow import parquet

from taut import data
from taut.data.parquet import shards
from taut.data.streaming import open_stream
from taut.errors import UserError

HUB = {
    "cifar10": ("uoft-cs/cifar10", "plain_text", "img"),
    "cifar100": ("uoft-cs/cifar100", "cifar100", "img"),
    "emnist-letters": ("tanganke/emnist_letters", "emnist-letters", "image"),
    "fashion-mnist": ("zalando-datasets/fashion_mnist", "fashion_mnist", "image"),
    "kmnist": ("tanganke/kmnist", "kmnist", "image"),
    "mnist": ("ylecun/mnist", "mnist", "image"),
    "stl10": ("tanganke/stl10", "data", "image"),
    "svhn": ("ufldl-stanford/svhn", "cropped_digits", "image"),
    "tiny-imagenet": ("zh-plus/tiny-imagenet", "data", "image"),
}
PART = "{}-00000-of-00001.parquet"


def write_table(
    path: Path,
    labels: Sequence[int],
    *,
    shape: tuple[int, int, int],
    column: str = "image",
    label: str = "label",
    names: Sequence[str] = (),
) -> np.ndarray:
    """Random pictures as PNG files in a parquet file like the hub's; returns them, channels first."""
    x = np.random.default_rng(len(labels)).integers(0, 256, (len(labels), *shape), dtype=np.uint8)
    cells = []
    for picture in x:
        file = io.BytesIO()
        Image.fromarray(picture[0] if len(picture) == 1 else picture.transpose(1, 2, 0)).save(file, format="PNG")
        cells.append({"bytes": file.getvalue(), "path": None})
    table = pa.table({column: cells, label: pa.array(labels, pa.int64())})
    if names:
        features = {label: {"names": list(names), "_type": "ClassLabel"}}
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(table, path)
    return x


def write_set(folder: Path, name: str) -> np.ndarray:
    """Both splits of the data set `name` as the hub has it, labels 0, 1, 2 and 0, 1; returns the training pictures."""
    column = HUB[name][2]
    options = {
        "shape": data.problem(name).shape,
        "column": column,
        "label": "fine_label" if name == "cifar100" else "label",
    }
    held_out = "valid" if name == "tiny-imagenet" else "test"
    write_table(folder / HUB[name][1] / PART.format(held_out), [0, 1], **options)
    return write_table(folder / HUB[name][1] / PART.format("train"), [0, 1, 2], **options)


def snapshot(root: Path, name: str, revision: str = "0b2714") -> Path:
    return root / f"datasets--{HUB[name][0].replace('/', '--')}" / "snapshots" / revision


PLACES = {
    "the folder of the files": lambda root, name: (root / HUB[name][1], root),
    "the folder of the set": lambda root, name: (root, root),
    "the set's name": lambda root, name: (root, root / name),
    "the hub's name": lambda root, name: (root, root / HUB[name][0].split("/")[1]),
    "the client's cache": lambda root, name: (root, snapshot(root, name)),
    "above the cache": lambda root, name: (root, snapshot(root / "hub", name)),
    "the set in the cache": lambda root, name: (snapshot(root, name).parents[1], snapshot(root, name)),
    "the snapshot": lambda root, name: (snapshot(root, name), snapshot(root, name)),
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", ["cifar10", "emnist-letters", "tiny-imagenet"])
def test_each_place_where_files_are_left(tmp_path: Path, name: str, place: str) -> None:
    given, folder = PLACES[place](tmp_path, name)
    write_set(folder, name)
    found = data.load(name, given)
    assert found.train.labels.tolist() == [0, 1, 2]
    assert found.test.labels.tolist() == [0, 1]


@pytest.mark.parametrize("name", HUB)
def test_each_set_by_its_hub_name(tmp_path: Path, name: str) -> None:
    x = write_set(snapshot(tmp_path, name), name)
    found = data.load(name, tmp_path)
    expected = x.swapaxes(2, 3) if name.startswith("emnist") else x
    assert np.array_equal(found.train.stored.numpy(), expected)
    assert found.train.stored.is_contiguous()
    assert found.problem == data.problem(name)


def test_the_snapshot_that_main_means(tmp_path: Path) -> None:
    for revision in ("aaa", "bbb"):
        write_set(snapshot(tmp_path, "mnist", revision), "mnist")
    with pytest.raises(UserError, match=r"several snapshots \(aaa, bbb\): give --data-root one of them"):
        data.load("mnist", tmp_path)
    other = snapshot(tmp_path, "mnist", "bbb") / "mnist" / PART.format("train")
    write_table(other, [7], shape=(1, 28, 28))
    main = snapshot(tmp_path, "mnist").parents[1] / "refs" / "main"
    main.parent.mkdir()
    main.write_text("bbb\n")
    assert data.load("mnist", tmp_path).train.labels.tolist() == [7]


def test_names_of_parts(tmp_path: Path) -> None:
    (tmp_path / "train-00000-of-00002-1359597a978bc4fa.parquet").touch()
    assert shards(tmp_path, "train") == [
        "train-00000-of-00002-1359597a978bc4fa.parquet",
        "train-00001-of-00002.parquet",  # missing
    ]
    (tmp_path / "train-00000-of-00002.parquet").touch()
    with pytest.raises(UserError, match="keep one of them"):
        shards(tmp_path, "train")
    (tmp_path / "test").mkdir()
    for number in (2, 0):
        (tmp_path / "test" / f"{number:04d}.parquet").touch()
    assert shards(tmp_path, "test") == ["test/0000.parquet", "test/0001.parquet", "test/0002.parquet"]
    assert shards(tmp_path, "valid") == ["valid.parquet"]


def test_the_branch_of_converted_files(tmp_path: Path) -> None:
    for split in ("train", "test"):
        write_table(tmp_path / "cropped_digits" / split / "0000.parquet", [3, 9], shape=(3, 32, 32))
    assert data.load("svhn", tmp_path).test.labels.tolist() == [3, 9]


@pytest.mark.parametrize(
    "inside", ["", "data", "default", "datasets--ILSVRC--imagenet-1k/snapshots/4603/data"], ids=str
)
def test_streamed_pictures_are_found_in_the_hubs_folders(tmp_path: Path, inside: str) -> None:
    for split in ("train", "validation"):
        write_table(tmp_path / inside / PART.format(split), [0, 1], shape=(3, 9, 7), names=("ant", "bee"))
    root = tmp_path / inside.split("/")[0] if inside.startswith("datasets--") else tmp_path
    assert open_stream(root).classes == ("ant", "bee")


def test_labels_follow_the_files_own_names(tmp_path: Path) -> None:
    from taut.data.tiny_imagenet import _WNIDS

    turned = [*_WNIDS[1:], _WNIDS[0]]
    write_table(tmp_path / "train.parquet", [0, 199, 3], shape=(3, 64, 64), names=turned)
    write_table(tmp_path / "valid.parquet", [1, 2], shape=(3, 64, 64))
    found = data.load("tiny-imagenet", tmp_path)
    assert [found.problem.classes[label] for label in found.train.labels] == [
        "European fire salamander",
        "goldfish",
        "American alligator",
    ]
    assert found.test.labels.tolist() == [1, 2]
    write_table(tmp_path / "train.parquet", [0, 200], shape=(3, 64, 64), names=turned)
    with pytest.raises(UserError, match=r"train\.parquet has labels 0\.\.200, but names for 200"):
        data.load("tiny-imagenet", tmp_path)
    write_table(tmp_path / "train.parquet", [0], shape=(3, 64, 64), names=[*_WNIDS[1:], "n00000000"])
    with pytest.raises(UserError, match=r"train\.parquet has other classes than the data set, 'n00000000' among"):
        data.load("tiny-imagenet", tmp_path)


@pytest.mark.parametrize("name", HUB)
def test_what_is_missing_is_said_with_where_and_how(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match=f"^{name} is not there: looked for ") as refusal:
        data.load(name, tmp_path)
    said = str(refusal.value)
    hub = HUB[name][0]
    cache = tmp_path / f"datasets--{hub.replace('/', '--')}"
    for part in (tmp_path / name, tmp_path, cache, HUB[name][1], "train.parquet", f"hf download {hub} --repo-type"):
        assert str(part) in said
    assert "(nothing is downloaded here)" in said
    assert "http" in said
    assert "\n" not in said
