"""Tiny ImageNet from the folders of its archive: classes by name, grey pictures in colour, damage named."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from taut import data
from taut.data.tiny_imagenet import _NAMES, _WNIDS
from taut.errors import UserError


def write_picture(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, format="PNG")  # lossless, so that pixels can be compared; names say JPEG


def write_archive(root: Path) -> Path:
    """tiny-imagenet-200 with one picture for each class, two for the second, and three held out."""
    folder = root / "tiny-imagenet-200"
    small = np.zeros((64, 64, 3), np.uint8)
    for label, name in enumerate(_WNIDS):
        small[:, :, 0] = label
        write_picture(folder / "train" / name / "images" / f"{name}_10.JPEG", small)
    grey = np.arange(64 * 64, dtype=np.uint32).reshape(64, 64).astype(np.uint8)
    write_picture(folder / "train" / _WNIDS[1] / "images" / f"{_WNIDS[1]}_2.JPEG", grey)
    lines = []
    for number, name in enumerate((_WNIDS[7], _WNIDS[199], _WNIDS[0])):
        small[:, :, 0] = 240 + number
        write_picture(folder / "val" / "images" / f"val_{number}.JPEG", small)
        lines.append(f"val_{number}.JPEG\t{name}\t0\t32\t44\t62\n")
    (folder / "val" / "val_annotations.txt").write_text("".join(lines))
    (folder / "wnids.txt").write_text("\n".join(reversed(_WNIDS)) + "\n")  # in an order of its own
    return folder


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_archive(tmp_path_factory.mktemp("tiny"))


def test_classes_are_numbered_by_their_sorted_names(archive: Path) -> None:
    found = data.load("tiny-imagenet", archive.parent)
    assert found.problem == data.problem("tiny-imagenet")
    assert found.problem.shape == (3, 64, 64)
    assert found.train.labels.tolist() == sorted([*range(200), 1])
    red = found.train.stored[:, 0, 0, 0].tolist()
    assert red[:3] == [0, 1, 0]  # of the second class, n..._10 comes before n..._2, which is grey and begins with 0
    assert red[3:] == list(range(2, 200))
    assert found.test.labels.tolist() == [7, 199, 0]
    assert found.test.stored[:, 0, 5, 5].tolist() == [240, 241, 242]


def test_a_grey_picture_has_three_equal_channels(archive: Path) -> None:
    grey = data.load("tiny-imagenet", archive).train.stored[2]
    expected = torch.arange(64 * 64).reshape(64, 64) % 256
    assert torch.equal(grey.long(), expected.expand(3, 64, 64))


def test_the_two_hundred_names() -> None:
    assert len(_WNIDS) == len(set(_NAMES.values())) == 200
    assert list(_WNIDS) == sorted(_WNIDS)
    known = {"n01443537": "goldfish", "n02124075": "Egyptian cat", "n04540053": "volleyball", "n12267677": "acorn"}
    assert {name: _NAMES[name] for name in known} == known
    assert all(name[0] == "n" and name[1:].isdigit() and len(name) == 9 for name in _WNIDS)
    assert all(name == name.strip() and name for name in _NAMES.values())


def test_what_is_damaged_is_named(tmp_path: Path) -> None:
    folder = write_archive(tmp_path)

    def refused(reason: str) -> None:
        with pytest.raises(UserError, match=reason):
            data.load("tiny-imagenet", tmp_path)

    held_out = folder / "val" / "images" / "val_1.JPEG"
    write_picture(held_out, np.zeros((64, 32, 3), np.uint8))
    refused(r"val_1\.JPEG must have 64x64 pixels, but it has 32x64")
    held_out.unlink()
    refused(r"cannot read .*val_1\.JPEG: No such file")
    annotations = folder / "val" / "val_annotations.txt"
    annotations.write_text("val_0.JPEG\tn00000000\t0\n")
    refused(r"line 1 of .*val_annotations\.txt must be a picture and its class")
    annotations.unlink()
    refused(r"not complete: missing val/val_annotations\.txt in .*tiny-imagenet-200")
    annotations.write_text("")
    refused("the held-out split of tiny-imagenet is empty")
    (folder / "wnids.txt").write_text("\n".join(_WNIDS[1:]))
    refused(r"wnids\.txt must name the 200 classes of Tiny ImageNet")
    (folder / "wnids.txt").write_text("\n".join(_WNIDS))
    (folder / "train" / _WNIDS[4]).rename(folder / "train" / "other")
    refused(r"n01698640/images has no pictures")
