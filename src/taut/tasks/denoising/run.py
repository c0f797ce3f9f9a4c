"""A denoiser from its seed to its report."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lightning_fabric import Fabric
from torch import nn

from taut import nn as tnn
from taut.data.images import ImageSets, load_images
from taut.errors import UsageError, UserError
from taut.files import write_json, write_tensors
from taut.imaging import Denoiser, tv_denoiser
from taut.imaging.metrics import ssim
from taut.optim import project_
from taut.tasks.activations import write_activations
from taut.tasks.denoising import outcome
from taut.tasks.denoising.config import Config
from taut.tasks.denoising.learner import DenoiserLearner
from taut.tasks.denoising.measure import Restore, looked_at, measure, tune_tv
from taut.tasks.denoising.parts import build_networks, make_denoiser, make_denoisers
from taut.tasks.denoising.patches import Patches
from taut.tasks.denoising.saved import unconstrained_weights
from taut.tasks.denoising.table import print_result
from taut.tasks.running import Session, carry_out, finished_result, report
from taut.training.loop import run
from taut.training.run_folder import RunFolder

_LOOKED_AT = 4
"""Held-out pictures that are measured while training; nothing is chosen by them."""


def train(
    config: Config, *, recipe: str, command: Sequence[str], out: Path | None = None, resume: RunFolder | None = None
) -> None:
    """Train the denoiser, prove its constant, measure it beside others, write and print; continue `resume`.

    Raises:
        UsageError: What is asked for cannot be; nothing has been written.
        UserError: Pictures missing or damaged, training diverged, a checkpoint damaged.
        Interrupted: SIGINT or SIGTERM; the message says how to continue.
    """
    carry_out(
        config,
        recipe=recipe,
        command=command,
        out=out,
        resume=resume,
        prepare=lambda fabric: _prepare(config, fabric),
        fit=lambda prepared, session: _fit(config, prepared, session),
        conclude=lambda prepared, trained, session: _conclude(config, prepared, trained, session),
    )


@dataclass(frozen=True)
class _Prepared:
    sets: ImageSets
    networks: nn.ModuleDict
    patches: Patches


@dataclass(frozen=True)
class _Trained:
    networks: Mapping[str, nn.Module]
    seconds: float


def _prepare(config: Config, fabric: Fabric) -> _Prepared:
    """Pictures and untrained networks, after every check that can be made before the run folder exists."""
    data = config.data
    if data.batch_size % fabric.world_size:
        raise UsageError(
            f"batch-size is the global one and must be a multiple of the {fabric.world_size} processes, "
            f"got {data.batch_size}"
        )
    sets = load_images(data.dataset, data.data_root, channels=data.channels)
    for title, picture in zip(sets.train.titles, sets.train.pixels, strict=True):
        if min(picture.shape[1:]) < data.patch_size:
            height, width = picture.shape[1:]
            raise UsageError(
                f"patch-size {data.patch_size} is larger than the training picture {title} ({width}x{height})"
            )
    networks = build_networks(config)
    _check_libraries(sets)
    make_denoiser(networks["denoiser"], config, name="denoiser")
    return _Prepared(sets, networks, Patches(sets.train.pixels, data.patch_size))


def _check_libraries(sets: ImageSets) -> None:
    """UserError at once where what measures at the end is missing."""
    try:
        import skimage.restoration  # noqa: F401 - total variation

        first = sets.train.picture(0)[None, :, :16, :16]
        ssim(first, first)
    except ImportError as error:
        raise UserError(f'denoisers are measured with {error.name}: pip install "taut[imaging]"') from error


def _fit(config: Config, prepared: _Prepared, session: Session) -> _Trained:
    pictures = next(iter(prepared.sets.tests.values()))

    def look(networks: Mapping[str, nn.Module]) -> dict[str, Any]:
        denoisers = make_denoisers(networks, config)
        return looked_at(denoisers, pictures, sigma=config.data.sigma, count=min(_LOOKED_AT, len(pictures)))

    learner = DenoiserLearner(
        config,
        prepared.networks,
        patches=prepared.patches,
        data=prepared.sets.fingerprint(),
        look=look,
        fabric=session.fabric,
    )
    seconds = run(
        learner,
        fabric=session.fabric,
        engine=config.engine,
        folder=session.folder,
        interruption=session.interruption,
        resume=session.checkpoint(),
    )
    networks = {name: learner.evaluated(name) for name in learner.optimizers}
    project_(networks["denoiser"], exact=True)
    return _Trained(networks, seconds)


def _conclude(config: Config, prepared: _Prepared, trained: _Trained, session: Session) -> None:
    """Fold, prove, measure, write. result.json comes last but for the report: where it is, the run is finished."""
    folder, sets, started = session.folder, prepared.sets, time.monotonic()
    denoisers = make_denoisers(trained.networks, config)
    tv_weight = tune_tv(sets.train, sigma=config.data.sigma)
    found = _measured(config, sets, denoisers, tv_weight)
    write_tensors(folder.model, trained.networks["denoiser"].state_dict())
    for name, network in trained.networks.items():
        path = folder.folded if name == "denoiser" else unconstrained_weights(folder)
        write_tensors(path, tnn.fold(network).state_dict())
    write_tensors(folder.evaluation, outcome.evaluation_tensors(sets, found))
    write_activations(folder, trained.networks["denoiser"])
    figures = outcome.result(
        config,
        sets,
        found,
        denoisers,
        tv_weight=tv_weight,
        recipe=session.recipe,
        command=session.command,
        seconds={"train": trained.seconds, "evaluate": time.monotonic() - started},
    )
    write_json(folder.result, figures)
    print_result(figures, written=[folder.result, folder.folded, report(folder)])


def _measured(config: Config, sets: ImageSets, denoisers: Mapping[str, Denoiser], tv_weight: float) -> outcome.Found:
    methods: dict[str, Restore] = {"noisy": lambda y: y, "tv": tv_denoiser(weight=tv_weight), **denoisers}
    found = {}
    for name, pictures in sets.tests.items():
        count = min(len(pictures), config.evaluation.test_pictures or len(pictures))
        found[name] = {
            method: measure(restore, pictures, sigma=config.data.sigma, count=count)
            for method, restore in methods.items()
        }
    return found


def show_finished(folder: RunFolder) -> bool:
    """Print the table of a run that is already finished; False when it is not."""
    if not folder.result.is_file():
        return False
    with finished_result(folder) as figures:
        print_result(figures, note=" (finished before)")
    return True
