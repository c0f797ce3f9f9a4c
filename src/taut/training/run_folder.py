"""The run folder: the one thing that training, evaluation and reports share."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from taut.errors import UsageError, UserError
from taut.files import write_json

_KEYS = ("taut", "recipe", "task", "command", "seed", "config")


@dataclass(frozen=True)
class RunFolder:
    """Names of what a run writes. Creating this object touches nothing."""

    path: Path

    @property
    def config(self) -> Path:
        """What was run: recipe, command, seed and the complete config."""
        return self.path / "config.json"

    @property
    def metrics(self) -> Path:
        """One JSON object a line, as training went."""
        return self.path / "metrics.jsonl"

    @property
    def checkpoints(self) -> Path:
        """From which `--resume` continues."""
        return self.path / "checkpoints"

    @property
    def model(self) -> Path:
        """Final weights, as they were trained."""
        return self.path / "model.safetensors"

    @property
    def folded(self) -> Path:
        """Final weights of the plain torch network."""
        return self.path / "folded.safetensors"

    @property
    def train_index(self) -> Path:
        """Places of the training samples, of a run that was trained on a part of the training split."""
        return self.path / "train_index.json"

    @property
    def result(self) -> Path:
        """Numbers of the finished run."""
        return self.path / "result.json"

    @property
    def evaluation(self) -> Path:
        """Per-sample tensors behind result.json."""
        return self.path / "evaluation.safetensors"

    @property
    def certificate(self) -> Path:
        """Certificate of robustness on the held-out split."""
        return self.path / "certificate.json"

    @property
    def network(self) -> Path:
        """What the certificate is about: the network as a list of plain operations, with its weights."""
        return self.path / "network.safetensors"

    @property
    def samples(self) -> Path:
        """What the certificate is about: inputs and labels of the held-out split."""
        return self.path / "samples.npz"


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """config.json of a run."""

    taut: str
    """Version that wrote it."""
    recipe: str
    """Recipe it started from."""
    task: str
    """Which task the config belongs to."""
    command: tuple[str, ...]
    """Command line."""
    seed: int
    """Seed, the same as in the config."""
    config: dict[str, Any]
    """The complete config, as plain JSON."""


def check_out(out: Path | None) -> None:
    """Raise UsageError unless a run can be created at `out` (None: a dated folder under runs/)."""
    if out is None:
        return
    if out.exists() and not out.is_dir():
        raise UsageError(f"--out {out} is a file; give the name of a new or empty folder")
    if out.is_dir() and any(out.iterdir()):
        unfinished = (out / "config.json").is_file() and not (out / "result.json").is_file()
        hint = f", or --resume {out}" if unfinished else ""
        raise UsageError(f"--out {out} is not empty; give the name of a new or empty folder{hint}")


def create_run(
    recipe: str, *, task: str, out: Path | None, command: Sequence[str], seed: int, config: Mapping[str, Any]
) -> RunFolder:
    """Create the folder of a new run and its config.json.

    Raises:
        UsageError: `out` is taken.
        UserError: It cannot be written.
    """
    from taut import __version__

    check_out(out)
    manifest = {
        "taut": __version__,
        "recipe": recipe,
        "task": task,
        "command": list(command),
        "seed": seed,
        "config": config,
    }
    try:
        path = _dated(recipe) if out is None else out
        path.mkdir(parents=True, exist_ok=out is not None)
        write_json(path / "config.json", manifest)
    except OSError as error:
        raise UserError(f"cannot write the run folder {out or 'runs'}: {error.strerror or error}") from error
    return RunFolder(path)


def _dated(recipe: str) -> Path:
    base = Path("runs") / f"{recipe}-{time.strftime('%Y%m%d-%H%M%S')}"
    path, number = base, 1
    while path.exists():
        number += 1
        path = base.with_name(f"{base.name}-{number}")
    return path


def read_manifest(path: Path) -> Manifest:
    """Read a config.json. Raises UsageError naming what is wrong with it."""
    try:
        content = json.loads(path.read_text())
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror or error}") from error
    except ValueError as error:
        raise UsageError(f"{path} is not JSON: {error}") from error
    if not isinstance(content, dict):
        raise UsageError(f"{path} must hold a JSON object")
    for key in _KEYS:
        if key not in content:
            raise UsageError(f"{path}: key {key} is missing")
    unknown = sorted(set(content) - set(_KEYS))
    if unknown:
        raise UsageError(f"{path}: unknown key {unknown[0]}; known are {', '.join(_KEYS)}")
    config = content["config"]
    if not isinstance(config, dict):
        raise UsageError(f"{path}: config must be an object, not {config!r}")
    if config.get("seed") != content["seed"]:
        raise UsageError(
            f"{path}: seed {content['seed']!r} differs from config.seed {config.get('seed')!r}; make them equal"
        )
    return Manifest(
        taut=str(content["taut"]),
        recipe=str(content["recipe"]),
        task=str(content["task"]),
        command=tuple(map(str, content["command"])),
        seed=content["seed"],
        config=config,
    )


def open_run(path: Path) -> tuple[RunFolder, Manifest]:
    """The folder of an existing run and its config. Raises UsageError when it is not one, or one of another version."""
    from taut import __version__

    folder = RunFolder(path)
    if not folder.config.is_file():
        raise UsageError(f"{path} is not a run folder: it has no config.json")
    manifest = read_manifest(folder.config)
    if manifest.taut != __version__:
        raise UsageError(
            f"{path} was written by taut {manifest.taut}, this is {__version__}: train it again, or use that version"
        )
    return folder, manifest
