"""`taut verify`: is a certificate true of this network and these data?"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from taut.cli.parse import parse
from taut.errors import UsageError, UserError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from taut.verifier import Network


@dataclass(frozen=True, kw_only=True)
class Options:
    """Prove every constant and radius of a certificate anew, by a second implementation that needs numpy alone."""

    certificate: Annotated[Path, tyro.conf.Positional]
    """The certificate, a JSON file."""
    model: Path | None = None
    """The network as a list of operations; network.safetensors beside the certificate when absent."""
    data: Path | None = None
    """npz file with the arrays inputs and labels; samples.npz beside the certificate when absent."""
    run: Path | None = None
    """Take the network and the data from this run folder instead."""
    data_root: Path | None = None
    """Folder of the data files, with --run; that of the training run when absent."""


def main(arguments: Sequence[str]) -> None:
    """Run `taut verify` with `arguments`."""
    options = parse(Options, arguments, prog="taut verify")
    from taut import verifier
    from taut.verifier.__main__ import show_progress, summary
    from taut.verifier.files import parse_json, read_bytes

    if options.certificate.is_dir():
        raise UserError(f"{options.certificate} is a folder: name the file in it, such as certificate.json")
    if not options.certificate.is_file():
        raise UserError(f"there is no certificate {options.certificate}")
    network, inputs, labels = _of_run(options) if options.run is not None else _of_files(options)
    try:
        certificate = parse_json(read_bytes(options.certificate, "the certificate"), "the certificate")
        verifier.verify(certificate, network, inputs, labels, progress=show_progress)
    except verifier.VerificationError as error:
        show_progress("")
        raise UserError(f"{options.certificate} does not hold: {' '.join(str(error).split())}") from error
    show_progress("")
    print(f"{options.certificate} holds: {summary(certificate)}")


def _of_files(options: Options) -> "tuple[Network, NDArray, NDArray]":
    """Without torch."""
    from taut.verifier import VerificationError, read_network, read_samples

    if options.data_root is not None:
        raise UsageError("--data-root goes with --run")
    folder = options.certificate.parent
    model, samples = options.model or folder / "network.safetensors", options.data or folder / "samples.npz"
    for path, option in ((model, "--model"), (samples, "--data")):
        if not path.is_file():
            raise UserError(f"there is no file {path}: name it with {option}, or a run folder with --run")
    try:
        return read_network(model), *read_samples(samples)
    except VerificationError as error:
        raise UserError(" ".join(str(error).split())) from error


def _of_run(options: Options) -> "tuple[Network, NDArray, NDArray]":
    """The network as its weights make it now, and the held-out samples."""
    from taut.certify import lower
    from taut.certify.certificates.verify import as_network
    from taut.tasks.classification import load_run

    if options.run is None or options.model is not None or options.data is not None:
        raise UsageError("--run has a network and data of its own: leave out --model and --data")
    run = load_run(options.run, data_root=options.data_root)
    inputs, labels = run.dataset.test.inputs, run.dataset.test.labels
    return as_network(lower(run.model, tuple(inputs.shape[1:]))), inputs.numpy(), labels.numpy()
