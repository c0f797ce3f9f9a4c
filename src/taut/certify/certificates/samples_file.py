"""The samples that a certificate is about, as a file that needs numpy alone."""

import io
import os
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int
from torch import Tensor

from taut.certify.samples.assess import check_samples
from taut.files import write_bytes


def save_samples(
    inputs: Float[Tensor, "samples *shape"], labels: Int[Tensor, " samples"], path: str | os.PathLike[str]
) -> None:
    """Write inputs and labels as a compressed npz file with these two arrays, whole or not at all.

    Raises TypeError and ValueError for what `robustness` refuses.
    """
    check_samples(inputs, labels, 1)
    content = io.BytesIO()
    arrays = {"inputs": inputs.detach().cpu().numpy(), "labels": labels.detach().cpu().long().numpy()}
    np.savez_compressed(content, allow_pickle=False, **arrays)
    write_bytes(Path(path), content.getvalue())
