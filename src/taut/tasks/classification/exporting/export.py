"""`taut export`: the folder, from the files of a finished run."""

import shutil
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from taut import certify
from taut.files import sha256, write_bytes, write_json
from taut.models import ClassifierOptions
from taut.models.exported import FileName, write_network
from taut.tasks.classification.exporting.card import Card, card
from taut.tasks.classification.exporting.data_facts import DataFacts, data_facts
from taut.tasks.classification.exporting.finished import Finished, read_finished
from taut.tasks.classification.exporting.places import without_places
from taut.tasks.classification.exporting.whole_folder import check_free, whole_folder
from taut.training.interrupt import interruptible
from taut.training.run_folder import RunFolder

CARD = "README.md"
TRAINING = "training.json"


def export_run(path: Path, out: Path, *, samples: bool = True, data_root: Path | None = None) -> list[Path]:
    """Write the network of the run in `path`, with everything that is known of it, into the new folder `out`.

    Args:
        path: Run folder of a finished classification.
        out: A new folder, or an empty one.
        samples: Whether the samples that the certificate is about come with it, so that it can be verified there.
        data_root: Of the data, whose sizes and fingerprints the card tells; that of the run when None.

    Returns:
        What was written.

    Raises:
        UsageError: `path` is no classification run, or `out` is taken.
        UserError: The run is not finished, damaged or contradicts itself, or `out` cannot be written.
        Interrupted: SIGINT or SIGTERM; nothing has been written.
    """
    check_free(out)
    with interruptible():
        run = read_finished(path, data_root=data_root, samples=samples)
        facts = data_facts(run)
        with whole_folder(out, last=FileName.MODEL) as folder:
            _write(run, facts, folder, samples=samples)
            names = sorted(file.name for file in folder.iterdir())
    return [out / name for name in names]


def _write(run: Finished, facts: DataFacts, folder: Path, *, samples: bool) -> None:
    here = RunFolder(folder)
    figures = _figures(run, facts)
    write_json(here.result, figures)
    write_json(folder / TRAINING, _training(run))
    if run.program is not None:
        certify.save_program(run.program, here.network)
        if samples:
            shutil.copyfile(run.folder.samples, here.samples)
    model = run.config.model
    options = {field.name: getattr(model, field.name) for field in fields(ClassifierOptions)}
    write_network(
        folder,
        model=run.model,
        architecture=model.architecture,
        options=ClassifierOptions(**options),
        tanh=model.tanh,
        input_shape=run.problem.shape,
        classes=run.problem.classes,
        norm=run.config.evaluation.norm,
        certificate=run.certificate,
        others={file.name: sha256(file) for file in folder.iterdir()},
    )
    text = card(
        Card(
            config=run.config,
            problem=run.problem,
            figures=figures,
            data=facts,
            certificate=run.certificate,
            files=tuple(sorted([*(file.name for file in folder.iterdir()), CARD])),
        )
    )
    write_bytes(folder / CARD, text.encode())


def _figures(run: Finished, facts: DataFacts) -> dict[str, Any]:
    return without_places({**run.figures, "data": asdict(facts)})


def _training(run: Finished) -> dict[str, Any]:
    """config.json of the run, which `taut train` takes; the data lie elsewhere on another machine."""
    content = without_places({**vars(run.manifest), "command": list(run.manifest.command)})
    content["config"]["data"] |= {"data_root": None}
    return content
