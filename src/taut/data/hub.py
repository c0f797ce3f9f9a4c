"""Where the Hugging Face hub's client leaves a data set: its cache, or a folder of the data set's name."""

from pathlib import Path

from taut.errors import UserError

_PREFIX = "datasets--"


def hub_folders(root: Path, name: str | None) -> list[Path]:
    """Folders below `root` that may hold the files of the hub's data set `name`, "OWNER/NAME".

    They are NAME; and, of the client's cache, the snapshot of datasets--OWNER--NAME in `root` or in its folder hub, or
    of `root` where it is itself such a folder, of whatever name.

    Raises:
        UserError: Several snapshots, and nothing that says which is meant.

    Example:
        >>> import tempfile
        >>> root = Path(tempfile.mkdtemp())
        >>> (root / "datasets--uoft-cs--cifar10" / "snapshots" / "0b2714").mkdir(parents=True)
        >>> [folder.relative_to(root).as_posix() for folder in hub_folders(root, "uoft-cs/cifar10")]
        ['cifar10', 'datasets--uoft-cs--cifar10/snapshots/0b2714']
    """
    found = [_snapshot(root)] if root.name.startswith(_PREFIX) else []
    if name is not None:
        cached = cache_name(name)
        found += [root / name.rpartition("/")[2], _snapshot(root / cached), _snapshot(root / "hub" / cached)]
    return [folder for folder in found if folder is not None]


def cache_name(name: str) -> str:
    """Name of the folder of the data set `name` in the client's cache.

    >>> cache_name("uoft-cs/cifar10")
    'datasets--uoft-cs--cifar10'
    """
    return _PREFIX + name.replace("/", "--")


def _snapshot(folder: Path) -> Path | None:
    """The snapshot that the branch main means, or the only one; None where there is none."""
    snapshots = folder / "snapshots"
    if not snapshots.is_dir():
        return None
    main = folder / "refs" / "main"
    if main.is_file() and (snapshots / main.read_text().strip()).is_dir():
        return snapshots / main.read_text().strip()
    inside = sorted(path for path in snapshots.iterdir() if path.is_dir())
    if len(inside) > 1:
        names = ", ".join(path.name for path in inside)
        raise UserError(f"{snapshots} holds several snapshots ({names}): give --data-root one of them")
    return inside[0] if inside else None
