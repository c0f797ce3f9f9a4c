"""`taut verify`: is a certificate true of this network and these data?"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from taut.cli.parse import parse


@dataclass(frozen=True, kw_only=True)
class Options:
    """Prove every constant and radius of a certificate anew from the weights and the data, and compare."""

    certificate: Annotated[Path, tyro.conf.Positional]
    """The certificate, a JSON file."""
    run: Path | None = None
    """Run folder with the network and the data; the folder of the certificate when absent."""
    data_root: Path | None = None
    """Folder of the data files; that of the training run when absent."""


def main(arguments: Sequence[str]) -> None:
    """Run `taut verify` with `arguments`."""
    options = parse(Options, arguments, prog="taut verify")
    from taut import certify
    from taut.errors import UserError
    from taut.tasks.classification import load_run

    if not options.certificate.is_file():
        raise UserError(f"there is no certificate {options.certificate}")
    run = load_run(options.run or options.certificate.parent, data_root=options.data_root)
    split = run.dataset.test
    try:
        certificate = certify.Certificate.load(options.certificate)
        certify.verify(certificate, run.model, split.inputs, split.labels)
    except (certify.CertificateError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{options.certificate} does not hold: {' '.join(str(error).split())}") from error
    print(
        f"{options.certificate} holds: {len(split)} samples of {run.dataset.name}, norm {certificate.norm}, "
        f"Lipschitz constant at most {certificate.lipschitz_bound:.7g}"
    )
