"""The page of one run: the task that config.json names decides what is on it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from taut.errors import UserError
from taut.files import write_bytes
from taut.reports.cifar10_table.page import cifar10_table_page
from taut.reports.classification.page import classification_page
from taut.reports.comparison.page import comparison_page
from taut.reports.denoising.page import denoising_page
from taut.reports.fit_1d.page import fit_1d_page
from taut.reports.folder.provenance import facts, reproduce_command
from taut.reports.folder.run_folder import RunFolder, read_folder
from taut.reports.gan.page import gan_page
from taut.reports.invertible.page import invertible_page
from taut.reports.page.page import Page
from taut.reports.page.render import render
from taut.reports.restoration.page import restoration_page
from taut.reports.wasserstein.page import wasserstein_page
from taut.reports.wasserstein_table.page import wasserstein_table_page

PAGES: dict[str, Callable[[RunFolder], Page]] = {
    "classification": classification_page,
    "denoising": denoising_page,
    "fit-1d": fit_1d_page,
    "wasserstein": wasserstein_page,
    "gan": gan_page,
    "invertible": invertible_page,
    "cifar10-table": cifar10_table_page,
    "wasserstein-table": wasserstein_table_page,
    "comparison": comparison_page,
    "restoration": restoration_page,
}
"""By task: what reads the rest of a run folder and draws its pictures."""


def write_report(run_dir: Path) -> Path:
    """Write `report.html`, and the plots beside it in `plots/`, into a run folder; return the page's path.

    Everything is drawn before anything is written, and the page comes last: a failure leaves what was there.

    Raises:
        UserError: if the folder is no run, is of a task that has no page, holds a damaged file, or cannot be written.
    """
    folder = read_folder(Path(run_dir))
    make_page = PAGES.get(folder.task) if isinstance(folder.task, str) else None
    if make_page is None:
        raise UserError(
            f"{folder.path / 'config.json'} names the task {folder.task!r}; reports know: {', '.join(PAGES)}"
        )
    page = make_page(folder)
    html = render(page.template, _context(page))
    for picture in page.pictures.values():
        if picture:
            write_bytes(folder.path / "plots" / f"{picture.name}.png", picture.light)
    write_bytes(folder.path / "report.html", html)
    return folder.path / "report.html"


def _context(page: Page) -> dict[str, Any]:
    return {
        "run": page.folder,
        "pictures": page.pictures,
        "command": reproduce_command(page.folder, page.provenance),
        "facts": facts(page.folder, page.provenance, page.counts),
        **page.context,
    }
