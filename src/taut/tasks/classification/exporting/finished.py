"""A finished classification run, read for export: all that is in its folder, checked against each other."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from taut import certify
from taut.certify import Certificate, Program
from taut.certify.program.encoding import model_hash
from taut.data import Problem
from taut.errors import UserError
from taut.tasks.classification.config import Config
from taut.tasks.classification.saved import load_network, network_problem, read_config
from taut.tasks.running import finished_result
from taut.training.run_folder import Manifest, RunFolder, open_run
from taut.verifier import VerificationError, read_samples
from taut.verifier.files import data_hash


@dataclass(frozen=True, kw_only=True)
class Finished:
    """What an export is made of."""

    folder: RunFolder
    manifest: Manifest
    config: Config
    problem: Problem
    model: nn.Module
    """Folded."""
    figures: dict[str, Any]
    """result.json; where there is a certificate, what it proves."""
    certificate: Certificate | None
    program: Program | None
    """What the certificate is about."""


def read_finished(path: Path, *, data_root: Path | None, samples: bool) -> Finished:
    """The run in `path`; with `samples` those of the certificate must be there.

    Raises UsageError for a folder that is no classification run, UserError for one that is not finished, is damaged, or
    whose certificate is not the one of its result or of its weights.
    """
    folder, config = read_config(path)
    if data_root is not None:
        config = replace(config, data=replace(config.data, data_root=data_root))
    _, manifest = open_run(path)
    model, shape = load_network(path)
    if not folder.result.is_file():
        raise UserError(f"{path} is not finished; finish it with: taut train --resume {path}")
    with finished_result(folder) as figures:
        known = {**figures, "norm": figures["norm"], "samples": int(figures["samples"])}
        proven = figures["lipschitz_bound"] is not None
    certificate = program = None
    if proven or folder.certificate.is_file():
        certificate = _certificate(folder, known)
        program = certify.lower(model, shape)
        if model_hash(program) != certificate.model_hash:
            raise UserError(f"{folder.certificate} is not about {folder.folded}: write it again with {_again(path)}")
        if samples:
            _check_samples(folder, certificate)
        known |= {
            "lipschitz_bound": certificate.lipschitz_bound,
            "certified": {f"{eps:g}": certificate.certified_accuracy(eps) for eps in sorted(config.evaluation.radii)},
        }
    return Finished(
        folder=folder,
        manifest=manifest,
        config=config,
        problem=network_problem(folder, config, config.data.data_root),
        model=model,
        figures=known,
        certificate=certificate,
        program=program,
    )


def _again(path: Path) -> str:
    return f"taut certify {path}"


def _certificate(folder: RunFolder, figures: dict[str, Any]) -> Certificate:
    """That of the run. A run of `taut certify` may have put another in its place, which the figures are not of."""
    path = folder.certificate
    if not path.is_file():
        raise UserError(f"{folder.path} has no certificate.json: write it again with {_again(folder.path)}")
    found = Certificate.load(path)
    kind = (found.claim, found.norm, found.arithmetic.name, len(found.label))
    expected = ("class", figures["norm"], "float64", figures["samples"])
    same = kind == expected and found.accuracy == figures["accuracy"]
    for eps, share in figures.get("certified", {}).items():
        same = same and found.certified_accuracy(float(eps)) == share
    if not same or figures["lipschitz_bound"] not in (None, found.lipschitz_bound):
        raise UserError(f"{path} is not the one of {folder.result}: write that again with {_again(folder.path)}")
    return found


def _check_samples(folder: RunFolder, certificate: Certificate) -> None:
    path = folder.samples
    if not path.is_file():
        raise UserError(f"{folder.path} has no {path.name}: write it with {_again(folder.path)}, or say --no-samples")
    try:
        inputs, labels = read_samples(path)
    except VerificationError as error:
        raise UserError(" ".join(str(error).split())) from error
    if data_hash(inputs) != certificate.data_hash or not np.array_equal(labels, certificate.label.numpy()):
        raise UserError(f"{path} is not what {folder.certificate} is about: write both with {_again(folder.path)}")
