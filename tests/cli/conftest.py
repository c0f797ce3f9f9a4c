"""Running the command line in this process and in one of its own; taut is imported late, after jaxtyping's hook."""

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

TINY = [
    "--width", "16", "--depth", "1", "--epochs", "2", "--log-every", "4", "--lr", "0.02",
    "--attack-samples", "30", "--attack-steps", "3", "--accelerator", "cpu",
]  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """What a command returned and printed."""

    code: int
    out: str
    err: str


@pytest.fixture
def tiny() -> list[str]:
    """Options that make a recipe of pictures train in less than a second."""
    return TINY


@pytest.fixture
def taut(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Outcome]:
    """Run `taut ARGUMENTS` in this process."""
    from taut.cli import main

    def run(*arguments: object) -> Outcome:
        words = [str(argument) for argument in arguments]
        monkeypatch.setattr(sys, "argv", ["taut", *words])
        capfd.readouterr()
        try:
            code = main(words)
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else 0
        out, err = capfd.readouterr()
        return Outcome(code, out, err)

    return run


@pytest.fixture
def no_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not draw the report, which takes most of the time of a tiny run."""
    from taut.tasks import gan, wasserstein
    from taut.tasks.classification import run

    for module in (run, gan.run, wasserstein.run):
        monkeypatch.setattr(module, "report", lambda folder: folder.path / "report.html")


def launch(arguments: Sequence[object], *, prelude: str = "", cwd: Path | None = None) -> subprocess.Popen[str]:
    """Start `taut ARGUMENTS` as a program of its own, after the Python statements `prelude`."""
    code = f"import sys; from taut.cli import main\n{prelude}\nsys.exit(main())"
    command = [sys.executable, "-c", code] if prelude else [sys.executable, "-m", "taut.cli"]
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.Popen(
        [*command, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=cwd,
        env=environment,
    )


@pytest.fixture
def program() -> Callable[..., subprocess.Popen[str]]:
    """Start `taut ARGUMENTS` as a program of its own."""
    return launch


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished tiny run with its report, made once; not to be changed."""
    from taut.cli import main

    out = tmp_path_factory.mktemp("runs") / "finished"
    assert main(["train", "digits", *TINY, "--out", str(out)]) == 0
    return out
