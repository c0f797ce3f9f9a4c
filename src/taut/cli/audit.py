"""`taut audit`: every layer and the network between a proven bound and a lower one; of a run or of any torch module."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from taut.cli.parse import parse
from taut.errors import UsageError, UserError

if TYPE_CHECKING:
    from taut.certify import Audit


@dataclass(frozen=True, kw_only=True)
class Options:
    """Prove an upper bound of the Lipschitz constant of a run's network or of a model, layer by layer, and look for a
    lower one."""

    model: Annotated[str, tyro.conf.Positional]
    """Run folder; or MODULE:NAME or FILE.py:NAME for a torch module, its class, or a function that returns one; or a
    file of weights, with --model-class."""
    model_class: str | None = None
    """MODULE:NAME or FILE.py:NAME of the network that the weights of a file belong to."""
    weights: Path | None = None
    """Weights to load into MODULE:NAME: .safetensors, or a state dict as .pt, .pth, .ckpt or .bin."""
    arguments: str = "{}"
    """Arguments of the class or function, by name, as JSON, such as '{"width": 64}'."""
    norm: Literal["l2", "linf"] = "l2"
    """Norm of the bounds."""
    method: Literal["product", "eclipse", "lipsdp"] = "product"
    """How the network's bound is put together; the last two are tighter, for dense chains in l2."""
    input_shape: tuple[int, ...] = ()
    """Shape of one input without the batch, such as 3 32 32; needed for convolutions and additions."""
    data: Path | None = None
    """Inputs from which to look for a lower bound: .npy, .npz or .safetensors, one a row; random normal ones when
    absent."""
    no_search: bool = False
    """Do not look for lower bounds."""
    search_seconds: float = 5.0
    """How long to look for lower bounds."""
    seed: int = 0
    """Seed of the search."""
    json: bool = False
    """Print JSON."""


def main(arguments: Sequence[str]) -> None:
    """Run `taut audit` with `arguments`."""
    options = parse(Options, arguments, prog="taut audit")
    if not options.search_seconds > 0.0:
        raise UsageError(f"--search-seconds must be above 0, got {options.search_seconds}; --no-search turns it off")
    if any(side < 1 for side in options.input_shape):
        raise UsageError(f"--input-shape must be of positive numbers, got {' '.join(map(str, options.input_shape))}")
    audit = _audit(options)
    print(json.dumps(audit.to_dict(), indent=2) if options.json else audit)


def _audit(options: Options) -> "Audit":
    from taut import certify
    from taut.cli.data_file import read_inputs
    from taut.cli.model_source import load_model

    model, shape = load_model(
        options.model, model_class=options.model_class, weights=options.weights, arguments=options.arguments
    )
    inputs = None if options.data is None else read_inputs(options.data)
    shape = options.input_shape or shape
    if inputs is not None and shape and tuple(inputs.shape[1:]) != shape:
        raise UserError(f"an input in {options.data} has shape {tuple(inputs.shape[1:])}, not {shape}")
    with _shown() as tell:
        try:
            return certify.audit(
                model,
                input_shape=shape or None,
                norm=options.norm,
                method=options.method,
                inputs=inputs,
                search_seconds=0.0 if options.no_search else options.search_seconds,
                seed=options.seed,
                progress=tell,
            )
        except (TypeError, ValueError) as error:
            raise UserError(f"no bound for {options.model}: {' '.join(str(error).split())}") from error


@contextmanager
def _shown() -> Iterator[Callable[[str, float], None]]:
    """What is being done, on standard error, where that is a terminal."""
    from rich.console import Console

    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda what, share: None
        return
    with console.status("") as status:
        yield lambda what, share: status.update(f"{what} {share:.0%}" if share else what)
