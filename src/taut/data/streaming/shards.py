"""Pictures in parquet files as Hugging Face publishes them, read by groups of rows as they are asked for."""

import hashlib
import os
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Int64
from torch import Tensor

from taut.data.parquet import label_names, picture_columns, shards
from taut.data.streaming.folder import HELD_OUT
from taut.data.streaming.source import PictureSource
from taut.errors import UserError

WINDOW = 2048
"""Rows among which an epoch is shuffled, at least: whole groups of rows are drawn at random until they are so many."""

_LABELS = ("label", "fine_label")


class ShardSource(PictureSource):
    """The rows of the parquet files of one split, in their order.

    Rows cannot be read one by one, so an epoch visits the groups of rows in random order and shuffles within windows of
    some groups; each process keeps about a window in memory, as it was read.
    """

    def __init__(self, files: Sequence[Path]) -> None:
        """UserError where pyarrow is missing, a file is damaged, or a column is not what it should be."""
        self.files = tuple(files)
        digest = hashlib.sha256()
        self.names: tuple[str, ...] | None = None
        """Names of the classes, where the files say them."""
        labels: list[Tensor] = []
        self._groups: list[tuple[int, int, int]] = []
        """File, group in it, and first row of the whole split."""
        start = 0
        for number, path in enumerate(self.files):
            found, counts, names = _read_labels(path)
            self.names = self.names or names
            for group, count in enumerate(counts):
                self._groups.append((number, group, start))
                start += count
            labels.append(found)
            digest.update(f"{path.name}\0{path.stat().st_size}\n".encode())
        self.labels = torch.cat(labels)
        digest.update(self.labels.numpy().data)
        self.fingerprint = digest.hexdigest()
        self._starts = torch.tensor([first for _, _, first in self._groups])
        self._sizes = torch.diff(self._starts, append=torch.tensor([start]))
        self._file_starts = {number: first for number, group, first in self._groups if group == 0}
        self._most = WINDOW + 2 * int(self._sizes.max())
        self._read: _Read | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_read": None}

    def encoded(self, index: int) -> tuple[bytes, str]:
        place = int(torch.searchsorted(self._starts, index, right=True)) - 1
        number, group, first = self._groups[place]
        name = f"picture {index - self._file_starts[number]} of {self.files[number]}"
        if self._read is None or self._read.process != os.getpid():  # open files are not shared with forked processes
            self._read = _Read(self.files, self._most)
        cell = self._read.column(number, group)[index - first].as_py()
        content = cell.get("bytes") if isinstance(cell, dict) else cell
        if content is None:
            raise UserError(f"{name} is empty: the file must hold pictures, not their paths")
        return content, name

    def order(self, generator: torch.Generator) -> Int64[Tensor, " pictures"]:
        """Groups of rows in random order, rows in random order within windows of at least `WINDOW` rows."""
        parts: list[Tensor] = []
        window: list[Tensor] = []
        for place in torch.randperm(len(self._groups), generator=generator).tolist():
            window.append(torch.arange(int(self._sizes[place])) + self._starts[place])
            if sum(map(len, window)) >= WINDOW:
                parts.append(_shuffled(window, generator))
                window = []
        if window:
            parts.append(_shuffled(window, generator))
        return torch.cat(parts)


class _Read:
    """Groups of rows that one process has read last, so many rows at most."""

    def __init__(self, files: Sequence[Path], most: int) -> None:
        self.process, self.files, self.most = os.getpid(), files, most
        self._columns: OrderedDict[tuple[int, int], Any] = OrderedDict()

    def column(self, number: int, group: int) -> Any:
        """The pictures of a group of rows in file `number`."""
        if (number, group) in self._columns:
            self._columns.move_to_end((number, group))
            return self._columns[number, group]
        path = self.files[number]
        with _readable(path) as file:
            name, _ = picture_columns(file.schema_arrow, path, _LABELS)
            column = file.read_row_group(group, columns=[name], use_threads=False).column(name)
        self._columns[number, group] = column
        while len(self._columns) > 1 and sum(map(len, self._columns.values())) > self.most:
            self._columns.popitem(last=False)
        return column


def split_files(root: Path) -> tuple[list[Path], list[Path]] | None:
    """Parquet files of the training split and of the held-out one in `root`; None where one of them is not there."""
    train = [root / name for name in shards(root, "train")]
    for name in HELD_OUT:
        held_out = [root / file for file in shards(root, name)]
        if all(path.is_file() for path in (*train, *held_out)):
            return train, held_out
    return None


def _shuffled(window: Sequence[Tensor], generator: torch.Generator) -> Tensor:
    rows = torch.cat(list(window))
    return rows[torch.randperm(len(rows), generator=generator)]


@contextmanager
def _readable(path: Path) -> Iterator[Any]:
    """The open file; what goes wrong in the block is a UserError that names it."""
    try:
        import pyarrow as pa
        from pyarrow.parquet import ParquetFile
    except ImportError as error:
        raise UserError(f'{path} is read with pyarrow, which is missing: pip install "taut[data]"') from error
    try:
        with ParquetFile(path) as file:
            yield file
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{path} is damaged: {' '.join(str(error).split())}") from error


def _read_labels(path: Path) -> tuple[Tensor, list[int], tuple[str, ...] | None]:
    """Labels, rows of each group, and names of the classes where the file has Hugging Face's."""
    with _readable(path) as file:
        _, label = picture_columns(file.schema_arrow, path, _LABELS)
        values = file.read(columns=[label], use_threads=False).column(label)
        counts = [file.metadata.row_group(group).num_rows for group in range(file.metadata.num_row_groups)]
        names = label_names(file.schema_arrow, label)
    if values.null_count:
        raise UserError(f"{path} has pictures without a label")
    return torch.tensor(values.to_pylist(), dtype=torch.int64), counts, names
