"""Streamed pictures: the same view for the same seed, every picture once an epoch, and damage said in one sentence."""

import io
import json
import math
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from PIL import Image
from pyarrow import parquet

from taut.data.streaming import CENTRE, Decoded, centre_batches, decoded_batches, open_stream, shards
from taut.data.streaming.views import centre_view, random_box, to_bytes, training_view
from taut.errors import UserError
from taut.testing.picture_folder import write_picture_folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("pictures")
    write_picture_folder(root, classes=3, train=5, val=2)
    return root


def numbered(number: int, side: int = 8) -> bytes:
    """A PNG file whose pixels are all `number`."""
    file = io.BytesIO()
    Image.fromarray(np.full((side, side, 3), number, np.uint8)).save(file, format="PNG")
    return file.getvalue()


def write_shards(root: Path, counts: tuple[int, ...], *, split: str, group: int, names: bool = False) -> None:
    first = 0
    for number, count in enumerate(counts):
        cells = [{"bytes": numbered(first + row), "path": None} for row in range(count)]
        labels = pa.array([(first + row) % 3 for row in range(count)], pa.int64())
        table = pa.table({"image": cells, "label": labels})
        if names:
            features = {"label": {"names": ["ant", "bee", "cat"], "_type": "ClassLabel"}}
            table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
        parquet.write_table(table, root / f"{split}-{number:05d}-of-{len(counts):05d}.parquet", row_group_size=group)
        first += count


def test_a_folder_is_read_as_it_lies(folder: Path) -> None:
    found = open_stream(folder)
    assert found.classes == ("class_0000", "class_0001", "class_0002")
    assert found.train.labels.tolist() == [0] * 5 + [1] * 5 + [2] * 5
    assert len(found.held_out) == 6
    for index in (0, 4, 5, 14):
        path, name = found.train.encoded(index)
        expected = folder / "train" / f"class_{index // 5:04d}" / f"{index % 5:06d}.jpeg"
        assert path == expected
        assert name == str(expected)
    sizes = {Image.open(path).size for path in folder.rglob("*.jpeg")}
    assert len(sizes) > 10
    again = open_stream(folder)
    assert again.train.fingerprint == found.train.fingerprint != found.held_out.fingerprint


def test_generated_pictures_follow_from_the_seed(folder: Path, tmp_path: Path) -> None:
    write_picture_folder(tmp_path / "again", classes=3, train=1, val=1)
    write_picture_folder(tmp_path / "other", classes=3, train=1, val=1, seed=1)
    name = "train/class_0001/000000.jpeg"
    assert (tmp_path / "again" / name).read_bytes() == (folder / name).read_bytes()
    assert (tmp_path / "other" / name).read_bytes() != (folder / name).read_bytes()


def test_rows_of_shards_are_those_of_their_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "WINDOW", 6)
    write_shards(tmp_path, (7, 10), split="train", group=4, names=True)
    write_shards(tmp_path, (5,), split="validation", group=4)
    found = open_stream(tmp_path)
    assert found.classes == ("ant", "bee", "cat")
    assert found.train.labels.tolist() == [row % 3 for row in range(17)]
    pictures = Decoded(found.train, channels=3)
    order = found.train.order(torch.Generator().manual_seed(3))
    assert sorted(order.tolist()) == list(range(17))
    assert order.tolist() != list(range(17))
    alternating = [0, 7, 1, 8, 4, 11, 5, 12]  # groups of the same number in both files
    for row in (*order.tolist(), *alternating):  # in an order in which groups are read, forgotten, and read again
        assert pictures.view(row, 8, CENTRE).unique().tolist() == [row]
    assert found.train.encoded(9)[1] == f"picture 2 of {tmp_path / 'train-00001-of-00002.parquet'}"
    again = found.train.order(torch.Generator().manual_seed(3))
    assert torch.equal(order, again)
    # windows: rows of few groups come together
    groups = [(row if row < 7 else row + 1) // 4 for row in order.tolist()]
    assert len(set(groups[:6])) <= 3


def test_a_view_is_a_function_of_its_seed(folder: Path) -> None:
    image = Image.open(folder / "train" / "class_0000" / "000000.jpeg").convert("RGB")
    for augmentation in ("flip", "shift", "crop", "crop-colour"):
        one, same, other = (to_bytes(training_view(image, 24, seed, augmentation)) for seed in (4, 4, 5))
        assert one.shape == (3, 24, 24)
        assert torch.equal(one, same)
        assert not torch.equal(one, other), augmentation
    assert torch.equal(to_bytes(training_view(image, 24, 1, "none")), to_bytes(centre_view(image, 24, share=1.0)))


def ramp(width: int, height: int) -> Image.Image:
    """Red is the column, green the row."""
    rows, columns = np.mgrid[:height, :width]
    return Image.fromarray(np.stack((columns, rows, 0 * rows), axis=2).astype(np.uint8))


def test_the_centre_is_the_centre() -> None:
    # the middle 35 pixels of 40: from 2.5 to 37.5, along the longer side 10 further
    view = to_bytes(centre_view(ramp(60, 40), 35)).float()
    assert view[0, 0, :3].tolist() == pytest.approx([12.5, 13.5, 14.5], abs=0.51)
    assert view[1, :3, 0].tolist() == pytest.approx([2.5, 3.5, 4.5], abs=0.51)
    assert view[1, -1, 0] == pytest.approx(36.5, abs=0.51)
    whole = to_bytes(centre_view(ramp(60, 40), 40, share=1.0))
    assert whole[0, 0].tolist() == list(range(10, 50))


def test_shifts_move_by_at_most_an_eighth_and_flips_mirror() -> None:
    image, seen = ramp(16, 16).point(lambda value: value + 100), set()
    for seed in range(60):
        view = to_bytes(training_view(image, 16, seed, "shift")).long()
        inside = view[0] >= 100
        columns = view[0, inside.any(dim=1)][0]
        flipped = bool((columns[columns >= 100].diff() < 0).all())
        columns = columns.flip(0) if flipped else columns
        place = int((columns >= 100).nonzero()[0])
        seen.add((int(columns[place]) - 100 - place, flipped))
    assert {move for move, _ in seen} == {-2, -1, 0, 1, 2}
    assert {flipped for _, flipped in seen} == {True, False}


def test_random_parts_have_the_areas_and_shapes_that_are_said() -> None:
    drawn = random.Random(0)
    boxes = [random_box(200, 200, drawn) for _ in range(4000)]
    areas = [(right - left) * (bottom - top) / 200**2 for left, top, right, bottom in boxes]
    shapes = [(right - left) / (bottom - top) for left, top, right, bottom in boxes]
    assert 0.075 < min(areas) < 0.12
    assert 0.8 < max(areas) <= 1.0
    assert 0.73 < min(shapes) < 0.78
    assert 1.28 < max(shapes) < 1.37
    balance = sum(math.log(shape) for shape in shapes) / len(shapes)
    assert abs(balance) < 4 * math.log(4 / 3) / math.sqrt(3 * 4000)  # four standard errors of a uniform law's mean
    assert random_box(300, 2, random.Random(0))[1::2] == (0, 2)  # no try fits: the largest part that does
    assert all(left >= 0 and top >= 0 and right <= 200 and bottom <= 200 for left, top, right, bottom in boxes)


def test_workers_change_nothing_and_use_no_random_numbers(folder: Path) -> None:
    pictures = Decoded(open_stream(folder).train, channels=3, augmentation="crop-colour")
    plan = [[(index, 16, 100 + index) for index in part] for part in ((3, 14, 0), (7, 1, 2), (5, 6, 8))]
    torch.manual_seed(0)
    before = torch.get_rng_state()
    alone, helped = (list(decoded_batches(pictures, plan, workers=workers)) for workers in (0, 2))
    assert torch.equal(torch.get_rng_state(), before)
    for keys, one, other in zip(plan, alone, helped, strict=True):
        assert torch.equal(one[0], other[0])
        assert one[1].tolist() == other[1].tolist() == [index // 5 for index, _, _ in keys]


_SIGNALLED = """
import os, signal, sys
from pathlib import Path
from taut.data.streaming import Decoded, decoded_batches, open_stream
signal.signal(signal.SIGTERM, lambda number, frame: None)
signal.signal(signal.SIGINT, lambda number, frame: None)
pictures = Decoded(open_stream(Path(sys.argv[1])).train, channels=3)
coming = decoded_batches(pictures, [[(0, 8, 1)]] * 40, workers=1)
next(coming)
for number in (signal.SIGTERM, signal.SIGINT):
    os.killpg(0, number)
print(len(list(coming)))
kept = decoded_batches(pictures, [[(0, 8, 1)]] * 40, workers=1)
next(kept)
sys.exit(3)  # with workers that wait
"""


def test_workers_outlive_signals_to_all_and_not_the_one_that_trains(folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _SIGNALLED, str(folder)],
        start_new_session=True,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stdout.strip(), done.stderr) == (3, "39", "")


def damaged(root: Path) -> Iterator[tuple[Path, str]]:
    path = root / "train" / "class_0001" / "000002.jpeg"
    good = path.read_bytes()
    for content, reason in ((good[:400], "damaged"), (b"no picture", "not a picture, or is damaged"), (b"", "damaged")):
        path.write_bytes(content)
        yield path, reason
    Image.new("I;16", (9, 9)).save(path.with_suffix(".png"))
    path.write_bytes(path.with_suffix(".png").read_bytes())
    path.with_suffix(".png").unlink()
    yield path, "eight bits a channel"


def test_a_damaged_picture_is_named_in_one_sentence(tmp_path: Path) -> None:
    write_picture_folder(tmp_path, classes=2, train=3, val=1)
    for path, reason in damaged(tmp_path):
        pictures = Decoded(open_stream(tmp_path).train, channels=3)
        _, labels, wrong = pictures[[(5, 8, 1), (0, 8, 2)]]
        assert str(path) in wrong
        assert reason in wrong
        assert "\n" not in wrong
        assert labels.tolist() == [1, 0]
    with pytest.raises(UserError, match="000002.jpeg"):
        list(centre_batches(pictures, torch.arange(6), size=8, batch_size=4, workers=0))


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="image-stream is not there"):
        open_stream(tmp_path)
    write_picture_folder(tmp_path, classes=2, train=1, val=1)
    (tmp_path / "val" / "class_0000").rename(tmp_path / "val" / "zebra")
    with pytest.raises(UserError, match="zebra is a class that the training split does not have"):
        open_stream(tmp_path)
    (tmp_path / "train" / "zebra").mkdir()
    with pytest.raises(UserError, match="zebra has no pictures"):
        open_stream(tmp_path)


def test_shards_that_are_wrong_are_named(tmp_path: Path) -> None:
    write_shards(tmp_path, (4,), split="train", group=4)
    write_shards(tmp_path, (9,), split="test", group=4)
    assert open_stream(tmp_path).classes == ("0", "1", "2")
    (tmp_path / "train-00000-of-00001.parquet").write_bytes(b"PAR1 and nothing else")
    with pytest.raises(UserError, match="train-00000-of-00001.parquet is damaged"):
        open_stream(tmp_path)
