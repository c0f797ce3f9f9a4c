"""The part of a data set that a run is trained on; the held-out split is always whole."""

from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor

from taut import data
from taut.data import Dataset
from taut.tasks.classification.config import DataConfig
from taut.training.run_folder import RunFolder


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """A data set with the training samples that a run asks for."""

    dataset: Dataset
    index: Tensor | None
    """Places of the training samples in the whole training split; None where they are all of it."""
    samples: int
    """Of the whole training split."""


def chosen(config: DataConfig, *, data_root: Path | None = None, folder: RunFolder | None = None) -> Chosen:
    """The data set with the training samples that `config` asks for.

    Args:
        config: What is asked for.
        data_root: In place of that of `config`.
        folder: Of a finished run, which keeps the places itself: index files may have gone since.

    Raises:
        UsageError: Too few samples of a class, or an index file that is wrong.
        UserError: Data missing or damaged.
    """
    whole = data.load(config.dataset, data_root or config.data_root)
    kept = folder.train_index if folder is not None and folder.train_index.is_file() else config.index_file
    if kept is not None and (config.per_class or config.index_file):
        index = data.read_indices(kept, whole.train, whole.problem, dataset=config.dataset)
    elif config.per_class:
        classes = len(whole.problem.classes)
        index = data.per_class_indices(whole.train.labels, classes, count=config.per_class, seed=config.subset_seed)
    else:
        return Chosen(dataset=whole, index=None, samples=len(whole.train))
    dataset = replace(whole, train=data.take(whole.train, index))
    return Chosen(dataset=dataset, index=index, samples=len(whole.train))


def keep_index(folder: RunFolder, found: Chosen) -> None:
    """Write train_index.json into the run folder, an index file that --index-file takes, of a run on a part."""
    if found.index is not None:
        dataset = found.dataset
        labels = dataset.train.labels
        data.write_indices(folder.train_index, found.index, labels, dataset=dataset.name, samples=found.samples)
