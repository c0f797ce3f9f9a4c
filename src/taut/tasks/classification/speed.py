"""How long an update of a classifier takes here, measured on updates that are thrown away."""

import statistics
import time

from torch import nn

from taut.data import Dataset
from taut.tasks.classification.config import Config
from taut.tasks.classification.job import build_job
from taut.training.engine import launch
from taut.training.seeding import seed_everything
from taut.training.supervised import learner

clock = time.perf_counter


def update_seconds(config: Config, model: nn.Module, dataset: Dataset, *, warm: int, timed: int) -> float:
    """Median seconds of `timed` updates after `warm` others, in one process, on the training split of `dataset`, which
    is held in memory. `model` is changed.

    Each update is waited for, as it is not in a run: on an accelerator this is a little too long.
    """
    fabric = launch(config.engine)
    seed_everything(config.seed)
    learning = learner(build_job(config, model, dataset, device=fabric.device), fabric)
    seconds = []
    for step in range(warm + timed):
        started = clock()
        float(learning.update(step % learning.steps)["loss"])  # a number is there when the device has computed it
        seconds.append(clock() - started)
    return statistics.median(seconds[warm:])
