"""What is known of the data of a run: names, sizes, fingerprints."""

import json
from dataclasses import dataclass

from taut.data import fingerprint
from taut.data.streaming import STREAM, open_stream
from taut.errors import UserError
from taut.tasks.classification.config import Config
from taut.tasks.classification.exporting.finished import Finished
from taut.tasks.classification.streamed import is_streamed
from taut.tasks.classification.subset import chosen
from taut.training.run_folder import RunFolder


@dataclass(frozen=True, kw_only=True)
class DataFacts:
    """None is what is not known."""

    name: str
    train_samples: int | None
    train_samples_of: int | None
    """Of the whole training split, of which a run may take a part."""
    train_sha256: str | None
    held_out_samples: int | None
    """Of the whole held-out split."""
    held_out_sha256: str | None
    of: str
    """What the SHA-256 are taken of."""


_OF_TENSORS = "shape and bytes of the inputs (float32 in [0, 1]) and of the labels (int64)"
_OF_FILES = "the list of the files, their sizes and labels"


def data_facts(run: Finished) -> DataFacts:
    """Read the data of a run once more. Where they are gone, what the run folder knows of them.

    Raises UserError where the data that are found are not those that the run was trained on.
    """
    kept = _recorded(run.folder)
    try:
        facts = _streamed(run.config) if is_streamed(run.config) else _in_memory(run)
    except UserError:  # not at hand
        count = None if is_streamed(run.config) else run.figures["samples"]
        of = _OF_FILES if is_streamed(run.config) else _OF_TENSORS
        return DataFacts(
            name=run.config.data.dataset,
            train_samples=None,
            train_samples_of=None,
            train_sha256=kept,
            held_out_samples=count,
            held_out_sha256=None,
            of=of,
        )
    if kept not in (None, facts.train_sha256):
        raise UserError(
            f"the training data of {facts.name} that are found now are not those that {run.folder.path} was trained "
            "on: name the folder of those with --data-root"
        )
    return facts


def _in_memory(run: Finished) -> DataFacts:
    found = chosen(run.config.data, folder=run.folder)
    dataset = found.dataset
    return DataFacts(
        name=dataset.name,
        train_samples=len(dataset.train),
        train_samples_of=found.samples,
        train_sha256=fingerprint(dataset.train),
        held_out_samples=len(dataset.test),
        held_out_sha256=fingerprint(dataset.test),
        of=_OF_TENSORS,
    )


def _streamed(config: Config) -> DataFacts:
    pictures = open_stream(config.data.data_root)
    return DataFacts(
        name=STREAM,
        train_samples=len(pictures.train),
        train_samples_of=len(pictures.train),
        train_sha256=pictures.train.fingerprint,
        held_out_samples=len(pictures.held_out),
        held_out_sha256=pictures.held_out.fingerprint,
        of=_OF_FILES,
    )


def _recorded(folder: RunFolder) -> str | None:
    """Fingerprint of the training split, as the last checkpoint has it; checkpoints may have been removed."""
    for path in sorted(folder.checkpoints.glob("*/trainer.json"), reverse=True):
        try:
            return str(json.loads(path.read_text())["data"])
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return None
