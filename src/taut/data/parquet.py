"""Reader of labelled pictures in parquet files, as Hugging Face publishes them: `train.parquet` or numbered shards."""

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


def parquet_form(shape: tuple[int, int, int], *labels: str) -> Form:
    """Parquet files with a column of encoded pictures, `img` or `image`, and a label column: the first there of
    `labels`."""
    return Form(files=shards, read=lambda files: read_parquet(files, shape, labels))


def shards(folder: Path, split: str) -> list[str]:
    """Names of the files of `split` in `folder`: `split-00000-of-0000N.parquet` for all N where one is there, else
    `split.parquet`.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> (folder / "train-00001-of-00002.parquet").touch()
        >>> shards(folder, "train"), shards(folder, "test")
        (['train-00000-of-00002.parquet', 'train-00001-of-00002.parquet'], ['test.parquet'])
    """
    single = f"{split}.parquet"
    numbered = (re.fullmatch(rf"{split}-\d{{5}}-of-(\d{{5}})\.parquet", path.name) for path in _list(folder))
    totals = {int(match[1]) for match in numbered if match}
    if (folder / single).is_file() or not totals:
        return [single]
    if len(totals) > 1:
        raise UserError(f"{folder} mixes {split} files of {' and '.join(map(str, sorted(totals)))} parts: keep one set")
    total = totals.pop()
    return [f"{split}-{number:05d}-of-{total:05d}.parquet" for number in range(total)]


def read_parquet(files: Sequence[Path], shape: tuple[int, int, int], labels: Sequence[str]) -> Raw:
    """Pictures, as unsigned bytes of `shape`, and labels of all rows of `files`, in their order.

    Raises:
        UserError: pyarrow is missing, a file is damaged, or a column or a picture is not what it should be.
    """
    parts = [_read_file(path, shape, labels) for path in files]
    return torch.cat([pixels for pixels, _ in parts]), torch.cat([classes for _, classes in parts])


def _list(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.is_dir() else []


def _read_file(path: Path, shape: tuple[int, int, int], labels: Sequence[str]) -> Raw:
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
            row = 0
            for batch in file.iter_batches(_ROWS, columns=[picture, label]):
                for cell, value in zip(batch.column(picture), batch.column(label).to_pylist(), strict=True):
                    pixels[row], classes[row] = _picture(cell.as_py(), path, row, shape), _label(value, path, row)
                    row += 1
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{path} is damaged: {' '.join(str(error).split())}") from error
    return pixels, classes


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
