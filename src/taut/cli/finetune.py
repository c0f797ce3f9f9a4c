"""`taut finetune`: a new run that starts from the weights of a finished one."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from taut.cli.train import train_config
from taut.errors import UsageError

_USAGE = """usage: taut finetune RUN [--orthonormal] [OPTIONS]

Train a finished classification run on, as a new run, whose config says where it started and whose result stands beside
what RUN had reached.

  RUN             folder of a finished run
  --orthonormal   make dense layers orthogonal first: Björck steps to the limit, layers without constraint or merely
                  bounded ones turned into bjorck layers of the same weights

Without other options: 5 epochs at a hundredth of the learning rate of RUN, constant. Every option of `taut train` may
be given; `taut finetune RUN --help` shows them with their values. An interrupted run continues with taut train
--resume.
"""
_EPOCHS = 5
_RATE = 1e-2


def main(arguments: Sequence[str]) -> None:
    """Run `taut finetune` with `arguments`."""
    rest = list(arguments)
    if not rest or rest[0] in ("--help", "-h"):
        print(_USAGE, end="")
        return
    if rest[0].startswith("-"):
        raise UsageError("give the RUN before the options (see taut finetune --help)")
    path = Path(rest.pop(0))
    make_orthonormal = "--orthonormal" in rest
    rest = [argument for argument in rest if argument != "--orthonormal"]
    from taut.tasks.classification.saved import read_config
    from taut.tasks.classification.start import StartConfig, orthonormal, weights_hash
    from taut.training.run_folder import read_manifest

    folder, config = read_config(path)
    default = replace(
        config,
        model=orthonormal(config.model) if make_orthonormal else config.model,
        optimizer=replace(
            config.optimizer, epochs=_EPOCHS, lr=_RATE * config.optimizer.lr, schedule="constant", warmup=0.0
        ),
        start=StartConfig(start_from=path, start_sha256=weights_hash(folder)),
    )
    recipe = read_manifest(folder.config).recipe.removesuffix("-finetuned")
    train_config(
        default,
        f"{recipe}-finetuned",
        rest,
        ["taut", "finetune", *arguments],
        prog=f"taut finetune {path}",
        description=f"{recipe}, started from the weights of {path}",
    )
