"""Reader of labelled pictures in parquet files, as Hugging Face publishes them: `train.parquet` or numbered shards."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from taut.data.forms import Form, Raw
from taut.data.pictures import decode
from taut.errors import UserError

_PICTURES = ("img", "image")
_ROWS = 1000


def parquet_form(
    shape: tuple[int, int, int],
    *labels: str,
    held_out: Sequence[str] = ("test",),
    classes: Sequence[str] = (),
) -> Form:
    """Parquet files with a column of encoded pictures, `img` or `image`, and a label column: the first there of
    `labels`.

    Args:
        shape: Of a picture.
        labels: Names that the label column may have.
        held_out: What the files of the held-out split may be called.
        classes: What the label column calls the classes, in the order of the data set's labels; see `read_parquet`.
    """

    def files(folder: Path, split: str) -> Sequence[str]:
        options = [shards(folder, name) for name in (("train",) if split == "train" else held_out)]
        return next((names for names in options if (folder / names[0]).is_file()), options[0])

    return Form(files=files, read=lambda files: read_parquet(files, shape, labels, classes=classes))


def shards(folder: Path, split: str) -> list[str]:
    """Names of the files of `split` in `folder`, as the hub has them: `split.parquet`, or all N of
    `split-00000-of-0000N.parquet` where one is there (with sixteen hexadecimal digits more or without), or
    `split/0000.parquet` and so on; else `split.parquet`.

    Raises:
        UserError: Parts of several sets of parts are there.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> (folder / "train-00001-of-00002.parquet").touch()
        >>> shards(folder, "train"), shards(folder, "test")
        (['train-00000-of-00002.parquet', 'train-00001-of-00002.parquet'], ['test.parquet'])
    """
    single = f"{split}.parquet"
    if (folder / single).is_file():
        return [single]
    pattern = rf"{split}-(\d{{5}})-of-(\d{{5}})(-[0-9a-f]{{16}})?\.parquet"
    found = [match for path in _list(folder) if (match := re.fullmatch(pattern, path.name))]
    totals = {int(match[2]) for match in found}
    if len(totals) > 1:
        raise UserError(f"{folder} mixes {split} files of {' and '.join(map(str, sorted(totals)))} parts: keep one set")
    if totals:
        return _parts(folder, split, totals.pop(), sorted(match[0] for match in found))
    # the hub's branch of converted files
    numbers = [int(path.stem) for path in _list(folder / split) if re.fullmatch(r"\d{4}\.parquet", path.name)]
    return [f"{split}/{number:04d}.parquet" for number in range(max(numbers) + 1)] if numbers else [single]


def _parts(folder: Path, split: str, total: int, found: Sequence[str]) -> list[str]:
    """One name for each number below `total`: of the file that is there, or of the one that is missing."""
    parts: list[str] = []
    for number in range(total):
        plain = f"{split}-{number:05d}-of-{total:05d}"
        there = [name for name in found if name.startswith(plain)] or [f"{plain}.parquet"]
        if len(there) > 1:
            raise UserError(f"{folder} has {' and '.join(there)}: keep one of them")
        parts.append(there[0])
    return parts


def read_parquet(
    files: Sequence[Path], shape: tuple[int, int, int], labels: Sequence[str], *, classes: Sequence[str] = ()
) -> Raw:
    """Pictures, as unsigned bytes of `shape`, and labels of all rows of `files`, in their order.

    Where `classes` are given and a file has names for its labels, as those of the hub have, label i is the place in
    `classes` of the name: files number the classes of some sets in different orders.

    Raises:
        UserError: pyarrow is missing, a file is damaged, or a column, a picture or the classes are not what they should
            be.
    """
    parts = [_read_file(path, shape, labels, classes) for path in files]
    return torch.cat([pixels for pixels, _ in parts]), torch.cat([numbers for _, numbers in parts])


def label_names(schema: Any, label: str) -> tuple[str, ...] | None:
    """What the column `label` calls the classes, where the schema has it as the hub writes it."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        return tuple(str(name) for name in features[label]["names"])
    except (KeyError, TypeError, ValueError):
        return None


def _list(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.is_dir() else []


def _read_file(path: Path, shape: tuple[int, int, int], labels: Sequence[str], names: Sequence[str]) -> Raw:
    try:
        import pyarrow as pa
        from pyarrow.parquet import ParquetFile
    except ImportError as error:
        raise UserError(f'{path} is read with pyarrow, which is missing: pip install "taut[data]"') from error
    try:
        with ParquetFile(path) as file:
            picture, label = picture_columns(file.schema_arrow, path, labels)
            pixels = torch.empty(file.metadata.num_rows, *shape, dtype=torch.uint8)
            classes = torch.empty(len(pixels), dtype=torch.int64)
            places = _places(label_names(file.schema_arrow, label), names, path)
            row = 0
            for batch in file.iter_batches(_ROWS, columns=[picture, label]):
                for cell, value in zip(batch.column(picture), batch.column(label).to_pylist(), strict=True):
                    pixels[row], classes[row] = _picture(cell.as_py(), path, row, shape), _label(value, path, row)
                    row += 1
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{path} is damaged: {' '.join(str(error).split()).partition('. ')[0].rstrip('.')}") from error
    if places is not None and len(classes):
        low, high = int(classes.min()), int(classes.max())
        if low < 0 or high >= len(places):
            raise UserError(f"{path} has labels {low}..{high}, but names for {len(places)}")
        classes = places[classes]
    return pixels, classes


def _places(found: Sequence[str] | None, names: Sequence[str], path: Path) -> Tensor | None:
    """The place in `names` of each of the file's own names; None where labels are to be taken as they are."""
    if found is None or not names:
        return None
    if sorted(found) != sorted(names):
        other = sorted(set(found) - set(names)) or sorted(set(names) - set(found))
        raise UserError(f"{path} has other classes than the data set, {other[0]!r} among the differences")
    return torch.tensor([list(names).index(name) for name in found])


def picture_columns(schema: Any, path: Path, labels: Sequence[str]) -> tuple[str, str]:
    """Names of the columns of pictures and labels in a parquet file's schema; UserError unless their types make
    sense."""
    from pyarrow import types

    picture = next((name for name in _PICTURES if name in schema.names), None)
    label = next((name for name in labels if name in schema.names), None)
    if picture is None or label is None:
        raise UserError(
            f"{path} must have a column {' or '.join(_PICTURES)} and a column {' or '.join(labels)}, but its columns "
            f"are {', '.join(schema.names)}"
        )
    encoded = schema.field(picture).type
    if types.is_struct(encoded) and encoded.get_field_index("bytes") >= 0:
        encoded = encoded.field("bytes").type
    if not (types.is_binary(encoded) or types.is_large_binary(encoded)):
        raise UserError(f"the column {picture} of {path} must hold encoded pictures as bytes, but it holds {encoded}")
    if not types.is_integer(schema.field(label).type):
        raise UserError(f"the column {label} of {path} must hold integers, but it holds {schema.field(label).type}")
    return picture, label


def _picture(cell: bytes | dict[str, Any] | None, path: Path, row: int, shape: tuple[int, int, int]) -> Tensor:
    content = cell.get("bytes") if isinstance(cell, dict) else cell
    if content is None:
        raise UserError(f"picture {row} of {path} is empty: the file must hold pictures, not their paths")
    pixels = decode(content, f"picture {row} of {path}", channels=shape[0])
    if tuple(pixels.shape) != shape:
        raise UserError(f"picture {row} of {path} must have the shape {shape}, but it is {tuple(pixels.shape)}")
    return pixels


def _label(value: int | None, path: Path, row: int) -> int:
    if value is None:
        raise UserError(f"picture {row} of {path} has no label")
    return value
