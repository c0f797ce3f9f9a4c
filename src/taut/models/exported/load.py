"""Opening the folder of an exported network."""

import hashlib
import json
import os
from pathlib import Path

import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor

from taut.certify import Certificate
from taut.errors import UserError
from taut.files import read_json
from taut.models.exported.build import rebuilt
from taut.models.exported.description import Description, FileName
from taut.models.exported.network import ExportedNetwork


def load(folder: str | os.PathLike[str]) -> ExportedNetwork:
    """The network in a folder that `taut export` wrote, on the CPU, with the bound and the certificate stated there.

    Needs the folder alone: no data, no run folder, no training code. Nothing in it is unpickled or executed. The files
    that are read are compared with their SHA-256 in model.json, and the network that is built with the logits there:
    against damage and against versions of taut that build another one, not against forgery. `taut verify
    FOLDER/certificate.json` proves the certificate again.

    Raises UserError, one sentence that names the file: missing, damaged or of a later version; or the folder is of
    another kind.

    >>> from taut.models import ClassifierOptions, exported, mlp
    >>> from taut.nn import fold
    >>> exported.write_network(
    ...     Path("net"),
    ...     model=fold(mlp((4,), 2, width=8, depth=1)).eval(),
    ...     architecture="mlp",
    ...     options=ClassifierOptions(width=8, depth=1),
    ...     input_shape=(4,),
    ...     classes=("cat", "dog"),
    ... )
    >>> net = load("net")
    >>> net.input_shape, net.classes, net.lipschitz_bound
    ((4,), ('cat', 'dog'), None)
    """
    path = Path(folder)
    description = _described(path)
    content = _checked(path, FileName.WEIGHTS, description)
    source = str(path / FileName.MODEL)
    model = rebuilt(description, _tensors(content, path / FileName.WEIGHTS), source=source)
    return ExportedNetwork(
        model=model,
        classes=description.classes,
        input_shape=description.input_shape,
        norm=description.norm,
        lipschitz_bound=description.lipschitz_bound,
        certificate=_certificate(path, description),
    )


def _described(path: Path) -> Description:
    if not path.exists():
        raise UserError(f"there is no folder {path}")
    if not path.is_dir():
        raise UserError(f"{path} is a file: name the folder that taut export wrote")
    if not (path / FileName.MODEL).is_file():
        if (path / "config.json").is_file():
            raise UserError(f"{path} is a run folder: export it first with taut export {path} --out FOLDER")
        raise UserError(f"{path} is not an exported network: it has no {FileName.MODEL}")
    source = path / FileName.MODEL
    return Description.from_json(read_json(source), source=str(source))


def _checked(path: Path, name: str, description: Description) -> bytes:
    """The bytes of a file, which are those that model.json names."""
    stated = description.sha256.get(name)
    if stated is None:
        raise UserError(f"{path / FileName.MODEL} is damaged: sha256 does not name {name}")
    try:
        content = (path / name).read_bytes()
    except OSError as error:
        raise UserError(f"cannot read {path / name}: {error.strerror}") from error
    if hashlib.sha256(content).hexdigest() != stated:
        raise UserError(f"{path / name} is damaged or was exchanged: its SHA-256 is not the one in {FileName.MODEL}")
    return content


def _tensors(content: bytes, path: Path) -> dict[str, Tensor]:
    try:
        return safetensors.torch.load(content)
    except (SafetensorError, ValueError, KeyError) as error:
        raise UserError(f"{path} is damaged: {error}") from error


def _certificate(path: Path, description: Description) -> Certificate | None:
    if FileName.CERTIFICATE not in description.sha256:
        return None
    _checked(path, FileName.CERTIFICATE, description)
    certificate = Certificate.load(path / FileName.CERTIFICATE)
    stated = (description.norm, description.lipschitz_bound)
    if (certificate.norm, certificate.lipschitz_bound) != stated:
        raise UserError(
            f"{path / FileName.MODEL} states the constant {json.dumps(stated[1])} in {stated[0]}, and its certificate "
            f"{certificate.lipschitz_bound!r} in {certificate.norm}"
        )
    return certificate
