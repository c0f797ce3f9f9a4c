"""One data set, many forms on disk: which of them is there, what is missing of it, and what it holds."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from jaxtyping import Int64, UInt8
from torch import Tensor

from taut.data.dataset import Dataset, Problem, Split
from taut.data.hub import cache_name, hub_folders
from taut.errors import UserError

Raw = tuple[UInt8[Tensor, "pictures *shape"], Int64[Tensor, " labels"]]


@dataclass(frozen=True, kw_only=True)
class Form:
    """A way in which a data set lies on disk: names of the files of a split, and their reader."""

    files: Callable[[Path, str], Sequence[str]]
    """File names of a split ("train" or "test") in a folder, which may look there for how many there are."""
    read: Callable[[Sequence[Path]], Raw]
    """Pictures and labels of the files of one split."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where a data set is looked for, and what is said when it is not there."""

    name: str
    """Name of the data set."""
    problem: Problem
    """Shape and classes."""
    forms: Sequence[Form]
    """Forms on disk, the preferred one first."""
    nested: Sequence[str]
    """Sub-folders in which archives of the data set leave their files."""
    how_to_get: str
    """Where people find the files: the end of the sentence of an error."""
    hub: str | None = None
    """Name of the parquet files on the Hugging Face hub."""
    remark: Callable[[Path], str] = lambda _: ""
    """What is to be said about a folder without any of the forms; nothing when empty."""


def load_source(source: Source, data_root: Path | None) -> Dataset:
    """The data set of `source` below `data_root`: in its sub-folder of the data set's name, there itself, or in what
    the hub's client leaves there.

    Raises:
        UserError: Files are missing or damaged, or hold other pictures than the data set's.
    """
    form, folder = _find(source, needed_root(source.name, data_root, _advice(source)))
    train, test = (_split(source, form, folder, split) for split in ("train", "test"))
    return Dataset(train=train, test=test, name=source.name, problem=source.problem)


def needed_root(name: str, data_root: Path | None, how_to_get: str) -> Path:
    """`data_root`, or a UserError that says how to give one.

    Example:
        >>> needed_root("svhn", Path("data"), "").name
        'data'
    """
    if data_root is None:
        raise UserError(
            f"{name} is read from files: give --data-root DIR or set TAUT_DATA_ROOT to the folder that holds it, or "
            f"that holds the folder {name} ({how_to_get})"
        )
    return data_root


def _find(source: Source, root: Path) -> tuple[Form, Path]:
    roots = [root / source.name, root, *hub_folders(root, source.hub)]
    folders = list(dict.fromkeys(folder / inner for folder in roots for inner in ("", *source.nested)))
    incomplete: list[tuple[int, str]] = []
    for folder in folders:
        for form in source.forms:
            names = _names(form, folder)
            missing = [name for name in names if not (folder / name).is_file()]
            if not missing:
                return form, folder
            if len(missing) < len(names):
                incomplete.append((len(missing), f"missing {', '.join(missing)} in {folder}"))
    if incomplete:
        raise UserError(f"{source.name} is not complete: {min(incomplete)[1]}; {_advice(source)}")
    remarks = [remark for folder in folders if (remark := source.remark(folder))]
    raise UserError(
        f"{source.name} is not there: looked for {_wanted(source, root)}; {'; '.join([*remarks[:1], _advice(source)])}"
    )


def _names(form: Form, folder: Path) -> list[str]:
    """Files of both splits; what both need is named once."""
    return list(dict.fromkeys(name for split in ("train", "test") for name in form.files(folder, split)))


def _wanted(source: Source, root: Path) -> str:
    """Which files were looked for, and where."""
    files = " or ".join("+".join(_names(form, root)) for form in source.forms)
    places = [str(root / source.name), str(root)]
    if source.hub is not None:
        short = root / source.hub.rpartition("/")[2]
        places += [str(place) for place in (short, root / cache_name(source.hub)) if place != root / source.name]
    return f"{files} in {', '.join(places)} and their sub-folders {', '.join(source.nested)}"


def _advice(source: Source) -> str:
    """Where to get the files: the end of an error."""
    if source.hub is None:
        return f"{source.how_to_get} (nothing is downloaded here)"
    return (
        f"{source.how_to_get}, and `hf download {source.hub} --repo-type dataset --local-dir {source.name}` fetches "
        "parquet files (nothing is downloaded here)"
    )


def _split(source: Source, form: Form, folder: Path, split: str) -> Split:
    files = [folder / name for name in form.files(folder, split)]
    pixels, labels = form.read(files)
    if tuple(pixels.shape[1:]) != source.problem.shape:
        raise UserError(
            f"{files[0]} must hold pictures of shape {source.problem.shape}, but theirs is {tuple(pixels.shape[1:])}"
        )
    if len(pixels) != len(labels):
        raise UserError(f"{files[0]} has {len(pixels)} pictures, but there are {len(labels)} labels")
    return Split(inputs=pixels, labels=labels)
