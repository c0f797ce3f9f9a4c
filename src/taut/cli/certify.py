"""`taut certify`: the certificate of a finished run, computed anew."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from taut.cli.parse import parse
from taut.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class Options:
    """Certify the held-out samples of a finished run and write the certificate."""

    run: Annotated[Path, tyro.conf.Positional]
    """Folder of a finished run."""
    out: Path | None = None
    """File to write; certificate.json in the run folder when absent. The network and the samples are written beside
    it, so that `taut verify` needs nothing else."""
    norm: Literal["l2", "linf"] | None = None
    """Norm of the radii; that of the run when absent."""
    top_k: int = 1
    """Certify that the label is among so many largest classes."""
    arithmetic: Literal["float64", "real", "float32-accumulate64", "float32", "tf32", "bfloat16"] = "float64"
    """Arithmetic of the network that is certified."""
    data_root: Path | None = None
    """Folder of the data files; that of the training run when absent."""


def main(arguments: Sequence[str]) -> None:
    """Run `taut certify` with `arguments`."""
    options = parse(Options, arguments, prog="taut certify")
    if options.top_k < 1:
        raise UsageError(f"--top-k must be at least 1, got {options.top_k}")
    if options.out is not None and options.out.is_dir():  # else its parent would get the network and the samples
        raise UsageError(f"--out names a file, and {options.out} is a folder: name a file in it, certificate.json")
    if options.out is not None and options.out.name in ("network.safetensors", "samples.npz"):
        raise UsageError(f"--out names the certificate, and {options.out.name} is a file that is written beside it")
    from dataclasses import replace

    from taut.tasks.classification import load_run
    from taut.tasks.classification.measure import certified, save_certificate
    from taut.tasks.classification.outcome import accuracies
    from taut.tasks.classification.table import print_result

    run = load_run(options.run, data_root=options.data_root)
    config = run.config.evaluation if options.norm is None else replace(run.config.evaluation, norm=options.norm)
    certificate = certified(
        run.model, run.dataset.test, norm=config.norm, k=options.top_k, arithmetic=options.arithmetic
    )
    written = save_certificate(certificate, run.model, run.dataset.test, options.out or run.folder.certificate)
    figures = {"samples": len(run.dataset.test), **accuracies(config, certificate, None)}
    print_result(figures, title=f"{run.dataset.name}: {len(run.dataset.test)} held-out samples", written=written)
