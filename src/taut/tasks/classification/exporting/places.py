"""What a folder that is given away need not tell: where things lay on the machine that made it."""

from pathlib import PurePosixPath, PureWindowsPath
from typing import Any


def without_places(value: Any) -> Any:
    """`value`, as JSON has it, with every absolute path in it cut to its last part.

    >>> without_places(["/home/ann/bin/taut", "train", "--data-root=/home/ann/data", "runs/a", 3])
    ['taut', 'train', '--data-root=data', 'runs/a', 3]
    """
    if isinstance(value, dict):
        return {name: without_places(item) for name, item in value.items()}
    if isinstance(value, list):
        return [without_places(item) for item in value]
    if not isinstance(value, str):
        return value
    option, equals, place = value.rpartition("=") if value.startswith("--") else ("", "", value)
    for kind in (PurePosixPath, PureWindowsPath):
        if (path := kind(place)).is_absolute():
            return f"{option}{equals}{path.name}"
    return value
