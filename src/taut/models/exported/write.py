"""Writing the part of an exported folder that `load` reads."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from torch import nn

from taut.certify import Certificate
from taut.files import sha256, write_json, write_tensors
from taut.models.classifiers import ClassifierOptions
from taut.models.exported.description import Description, FileName
from taut.models.exported.load import load
from taut.models.exported.probe import probe_logits


def write_network(
    folder: Path,
    *,
    model: nn.Module,
    architecture: str,
    options: ClassifierOptions,
    input_shape: Sequence[int],
    classes: Sequence[str],
    tanh: bool = False,
    norm: str = "l2",
    certificate: Certificate | None = None,
    others: Mapping[str, str] | None = None,
) -> None:
    """Write model.json and model.safetensors, and the certificate where there is one, into `folder`, and load them
    again to see that they are whole; `taut export` writes the rest.

    Args:
        folder: Where to; created where it is not there.
        model: The folded network, in evaluation mode.
        architecture: The key of `taut.models.classifiers()` that makes it.
        options: That make it.
        input_shape: Of one input.
        classes: Their names.
        tanh: Whether a hyperbolic tangent follows the network.
        norm: Of a network without a certificate; that of the certificate otherwise.
        certificate: Of this network.
        others: SHA-256 of other files of the folder, by their names.

    Raises:
        UserError: A file cannot be written, or what was written does not make this network again, as when `options` are
            not those that it was made with.
    """
    from taut import __version__

    write_tensors(folder / FileName.WEIGHTS, model.state_dict())
    sums = {FileName.WEIGHTS: sha256(folder / FileName.WEIGHTS)}
    if certificate is not None:
        certificate.save(folder / FileName.CERTIFICATE)
        sums[FileName.CERTIFICATE] = sha256(folder / FileName.CERTIFICATE)
    description = Description(
        taut=__version__,
        architecture=architecture,
        options=options,
        tanh=tanh,
        input_shape=tuple(input_shape),
        classes=tuple(classes),
        norm=norm if certificate is None else certificate.norm,
        lipschitz_bound=None if certificate is None else certificate.lipschitz_bound,
        probe=probe_logits(model, input_shape),
        sha256={**sums, **(others or {})},
    )
    write_json(folder / FileName.MODEL, description.to_json())
    load(folder)
