"""A folder that is either whole or absent."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from taut.errors import UsageError, UserError


def check_free(out: Path) -> None:
    """UsageError unless `out` is new, or an empty folder."""
    if out.exists() and not out.is_dir():
        raise UsageError(f"--out {out} is a file; give the name of a new or empty folder")
    if out.is_dir() and any(out.iterdir()):
        raise UsageError(f"--out {out} is not empty; give the name of a new or empty folder")


@contextmanager
def whole_folder(out: Path, *, last: str) -> Iterator[Path]:
    """A temporary folder to write into, which becomes `out` when the block ends and is gone when the block raises.

    A new `out` appears in one step. One that is there and empty stays the same folder, in which somebody may stand: it
    is filled file by file, `last` after all others, and emptied again where that fails.

    Raises UsageError where `out` is taken, UserError where it cannot be written.
    """
    check_free(out)
    place = out.resolve()
    there = next(folder for folder in (place, *place.parents) if folder.is_dir())  # on the disk that `out` will be on
    temporary = there / f".{place.name}.{os.getpid()}.tmp"
    try:
        temporary.mkdir()
        yield temporary
        if place == there:
            _fill(place, temporary, last)
        else:
            _name(temporary, place)
    except OSError as error:
        raise UserError(f"cannot write {out}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _name(temporary: Path, place: Path) -> None:
    above = [folder for folder in place.parents if not folder.exists()]
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        temporary.rename(place)
    except BaseException:
        for folder in above:
            with suppress(OSError):
                folder.rmdir()
        raise


def _fill(place: Path, temporary: Path, last: str) -> None:
    names = sorted((path.name for path in temporary.iterdir()), key=lambda name: (name == last, name))
    try:
        for name in names:
            (temporary / name).rename(place / name)
    except BaseException:
        for name in names:
            (place / name).unlink(missing_ok=True)
        raise
