"""`taut restore`: a picture of the user's own, restored with a proven denoiser."""

from collections.abc import Sequence
from pathlib import Path

from taut.cli.parse import parse
from taut.cli.train import Arguments, replay
from taut.errors import UsageError
from taut.tasks.restoration import Config, train

Options = Arguments[Config]

_DESCRIPTION = """Restore a picture of your own from a measurement of it: taut restore IMAGE is short for --image IMAGE.

The iteration runs around a denoiser with a proven Lipschitz constant, and only if a theorem says that it converges.
CONFIG.json of an earlier restoration in the place of IMAGE does it again. Nothing is written before the restoration is
complete, so Ctrl-C leaves nothing behind."""


def main(arguments: Sequence[str]) -> None:
    """Run `taut restore` with `arguments`."""
    rest, command = list(arguments), ["taut", "restore", *arguments]
    target = rest.pop(0) if rest and not rest[0].startswith("-") else None
    if target is not None and target.endswith(".json"):
        _replay(Path(target), rest, command)
        return
    given = [] if target is None else ["--image", target]
    if given and any(word.partition("=")[0] == "--image" for word in rest):
        raise UsageError(f"give the picture once: {target} or --image")
    options = parse(Options, [*given, *rest], prog="taut restore", description=_DESCRIPTION)
    train(options.config, recipe="restore", command=command, out=options.out)


def _replay(path: Path, rest: Sequence[str], command: Sequence[str]) -> None:
    from taut.training.run_folder import read_manifest

    found = read_manifest(path).task
    if found != Config.task:
        raise UsageError(f"{path} is a configuration of the task {found}: taut train {path}")
    replay(path, rest, command)
