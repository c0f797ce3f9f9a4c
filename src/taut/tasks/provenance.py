"""Where the numbers of a run come from: command, seed, versions, machine, commit."""

import platform
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy
import torch

import taut


def provenance(*, command: Sequence[str], seed: int, seconds: Mapping[str, float]) -> dict[str, Any]:
    """The part of result.json that says how it was made, the same for all tasks."""
    return {
        "seconds": {name: round(value, 3) for name, value in seconds.items()},
        "command": list(command),
        "seed": seed,
        "commit": commit(),
        "versions": {
            "taut": taut.__version__,
            "torch": torch.__version__,
            "numpy": numpy.__version__,
            "python": platform.python_version(),
        },
        "machine": machine(),
    }


def machine() -> str:
    """What the numbers were computed on, without the name of the computer."""
    parts = [platform.system(), platform.machine(), f"{torch.get_num_threads()} CPU threads"]
    if torch.cuda.is_available():
        parts.append(torch.cuda.get_device_name())
    return ", ".join(parts)


def commit() -> str | None:
    """Commit of the git checkout that taut runs from, with "-dirty" where files differ from it; None elsewhere."""
    source = Path(taut.__file__).parent

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(source), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()

    try:
        git("ls-files", "--error-unmatch", "__init__.py")
        return git("rev-parse", "HEAD") + ("-dirty" if git("status", "--porcelain", "-uno") else "")
    except (OSError, subprocess.SubprocessError):
        return None
