"""The page of one run."""

import shlex
from pathlib import Path
from typing import Any

from taut.files import write_bytes
from taut.reports.certified_plot import certified_picture
from taut.reports.evaluation import broken_certificates
from taut.reports.fields import Fields
from taut.reports.learning_plot import learning_picture
from taut.reports.margin_plot import margin_picture
from taut.reports.numbers import duration, standard_error, whole
from taut.reports.page import render
from taut.reports.picture_grid import grid_picture
from taut.reports.result import Result
from taut.reports.run import Run, read_run
from taut.reports.spectrum_plot import layers_with_spectrum, spectrum_picture
from taut.reports.style import Picture

NORM_WORDS = {"l2": "Euclidean length (l2 norm)", "linf": "largest entry (linf norm)"}


def write_report(run_dir: Path) -> Path:
    """Write `report.html`, and the plots beside it in `plots/`, into a run folder; return the page's path.

    Everything is drawn before anything is written, and the page comes last: a failure leaves what was there.

    Raises:
        UserError: if the folder is no run, is of a task that has no page, holds a damaged file, or cannot be written.
    """
    run_dir = Path(run_dir)
    run = read_run(run_dir)
    pictures = _pictures(run)
    page = render("report.html", _context(run, pictures))
    for picture in pictures.values():
        write_bytes(run_dir / "plots" / f"{picture.name}.png", picture.light)
    write_bytes(run_dir / "report.html", page)
    return run_dir / "report.html"


def _pictures(run: Run) -> dict[str, Picture]:
    """Every plot that the folder has the data for, by its place in the template."""
    pictures: dict[str, Picture] = {}
    evaluation, result = run.evaluation, run.result
    if result and evaluation:
        pictures["certified"] = certified_picture(result, evaluation)
    if evaluation:
        pictures["margins"] = margin_picture(evaluation)
        if evaluation.most_certified:
            pictures["most"] = grid_picture("most_certified", evaluation, evaluation.most_certified)
        if evaluation.least_certified:
            pictures["least"] = grid_picture("least_certified", evaluation, evaluation.least_certified)
    if run.metrics and (run.metrics.train or run.metrics.valid):
        pictures["learning"] = learning_picture(run.metrics, result.norm if result else None)
    if result and layers_with_spectrum(result.layers):
        pictures["spectrum"] = spectrum_picture(result.layers)
    return pictures


def _context(run: Run, pictures: dict[str, Picture]) -> dict[str, Any]:
    result = run.result
    places = ("certified", "margins", "most", "least", "learning", "spectrum")
    return {
        "run": run,
        "result": result,
        "headline": next((eps for eps in result.certified if eps > 0), None) if result else None,
        "radii": _radii(result) if result else [],
        "partly_attacked": bool(result and result.attacked and result.attack.samples < result.samples),
        "largest_error": _largest_error(result) if result else None,
        "broken": broken_certificates(run.evaluation) if run.evaluation else {},
        "pictures": {place: pictures.get(place) for place in places},
        "norm_words": NORM_WORDS[result.norm] if result else None,
        "certificate": run.certificate,
        "arithmetic": _arithmetic(run),
        "model_hash": str((run.certificate or {}).get("model_hash", ""))[:16],
        "command": reproduce_command(run),
        "facts": _facts(run),
    }


def _radii(result: Result) -> list[dict[str, float | None]]:
    listed = sorted(set(result.certified) | set(result.attacked))
    return [
        {
            "eps": eps,
            "certified": result.certified.get(eps),
            "attacked": result.attacked.get(eps),
            "certified_attacked": result.attack.certified.get(eps),
            "undecided": _difference(result.attacked.get(eps), result.attack.certified.get(eps)),
        }
        for eps in listed
        if eps > 0
    ]


def _difference(larger: float | None, smaller: float | None) -> float | None:
    return None if larger is None or smaller is None else larger - smaller


def _largest_error(result: Result) -> float:
    fractions = [result.accuracy, *result.certified.values()]
    errors = [standard_error(fraction, result.samples) for fraction in fractions]
    return max(errors + [standard_error(fraction, result.attack.samples) for fraction in result.attacked.values()])


def _arithmetic(run: Run) -> str:
    said = (run.certificate or {}).get("arithmetic")
    if not isinstance(said, str):
        return "The run has no certificate that says in which arithmetic the network must be evaluated."
    return f"{said}. Rounding errors of that arithmetic are counted against the margin."


def reproduce_command(run: Run) -> str:
    """The command that made the run, ready to paste into a shell; empty where the run does not know it."""
    words = [str(word) for word in Fields(run.config, run.path / "config.json").sequence("command")]
    if run.result and run.result.command:
        words = run.result.command
    if words and Path(words[0]).is_absolute():
        words = [Path(words[0]).name, *words[1:]]
    return shlex.join(words)


def _facts(run: Run) -> dict[str, str]:
    """What the run was made of and with; what it does not know is left out."""
    result = run.result
    facts: dict[str, Any] = {"recipe": run.recipe, "seed": run.config.get("seed"), "taut": run.config.get("taut")}
    if result:
        facts |= {"seed": result.seed, "commit": result.commit}
        facts |= {**result.versions, "machine": result.machine}
        facts |= {"parameters": None if result.parameters is None else whole(result.parameters)}
        facts |= {f"time to {step}": duration(seconds) for step, seconds in result.seconds.items()}
    return {name: str(value) for name, value in facts.items() if value is not None}
