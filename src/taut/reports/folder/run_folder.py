"""A run folder of any task: its configuration, and reading of the files that may not be there yet."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from taut.errors import UserError
from taut.files import read_json
from taut.reports.folder.fields import Fields

Content = TypeVar("Content")


@dataclass(frozen=True, kw_only=True)
class RunFolder:
    """What is there from the first moment of a run on."""

    path: Path
    config: dict[str, Any]
    """`config.json` as it stands."""
    settings: dict[str, Any]
    """The configuration in it, as flat `section.option: value` pairs."""

    @property
    def name(self) -> str:
        """Name of the folder."""
        return self.path.resolve().name

    @property
    def recipe(self) -> str:
        """Name of the recipe that was trained."""
        return str(self.config.get("recipe", "unknown"))

    @property
    def task(self) -> object:
        """What `config.json` names as the task; None where it names none."""
        return self.config.get("task")

    def when_there(self, name: str, read: Callable[[Path], Content]) -> Content | None:
        """What `read` makes of the file, or None where the run has not written it."""
        path = self.path / name
        return read(path) if path.is_file() else None


def read_folder(path: Path) -> RunFolder:
    """Read a run folder's configuration.

    Raises:
        UserError: if the folder is no run or its config.json is damaged.
    """
    if not path.is_dir():
        raise UserError(f"{path} is no run folder: there is no such folder")
    if not (path / "config.json").is_file():
        raise UserError(f"{path} is no run folder: it has no config.json")
    config = read_json(path / "config.json")
    settings = _flat(Fields(config, path / "config.json").mapping("config"), "")
    return RunFolder(path=path, config=config, settings=settings)


def _flat(values: dict[str, Any], prefix: str) -> dict[str, Any]:
    pairs: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict) and value:
            pairs |= _flat(value, f"{prefix}{name}.")
        else:
            pairs[prefix + name] = value
    return pairs
