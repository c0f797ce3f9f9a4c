"""What the page of a restoration shows."""

from taut.reports.folder.run_folder import RunFolder
from taut.reports.page.page import Page
from taut.reports.pictures.style import Picture
from taut.reports.restoration.course_plot import psnr_picture, residual_picture
from taut.reports.restoration.result import Method, Quality, Result
from taut.reports.restoration.run import Run, read_run
from taut.reports.restoration.strip_plot import has_detail, strip_picture


def restoration_page(folder: RunFolder) -> Page:
    """Read the run and draw it; a `UserError` names what is damaged."""
    run = read_run(folder)
    detail = any(has_detail(levels.shape[:2]) for levels in run.pictures.values())
    return Page(
        folder=folder,
        template="restoration/report.html",
        provenance=run.result.provenance if run.result else None,
        pictures=_pictures(run),
        context={"result": run.result, "methods": _methods(run.result), "gain": _gain(run.result), "detail": detail},
    )


def _pictures(run: Run) -> dict[str, Picture | None]:
    result, course = run.result, run.denoiser
    names = _names(result)
    start = result.start.psnr if result and result.start else None
    return {
        "strip": strip_picture(run.pictures, _titles(run)) if run.pictures else None,
        "residual": residual_picture(course, run.beside, names) if course else None,
        "psnr": psnr_picture(course, run.beside, names, start) if course else None,
    }


def _names(result: Result | None) -> tuple[str, str]:
    beside = result.beside if result else None
    return (result.denoiser.name if result else "denoiser", beside.name if beside else "beside")


def _titles(run: Run) -> dict[str, str]:
    """Over each picture: what it is, and how close to the truth where that is known."""
    result, (first, second) = run.result, _names(run.result)
    titles = {"original": "original", "measurement": "measurement", "restored": first, "beside": second}
    qualities: dict[str, Quality | None] = {}
    if result:
        qualities = {"measurement": result.start, "restored": result.denoiser.quality}
        qualities |= {"beside": result.beside.quality if result.beside else None}
    for name, quality in qualities.items():
        if quality:
            titles[name] += f"\n{'start: ' if name == 'measurement' else ''}{quality.psnr:.2f} dB"
        elif result and not result.measured and name in run.pictures:
            titles[name] += "\ndiverged" if name != "measurement" else ""
    if any("\n" in title for title in titles.values()):
        titles = {name: title if "\n" in title else title + "\n" for name, title in titles.items()}
    return titles


def _methods(result: Result | None) -> list[Method]:
    if result is None:
        return []
    return [result.denoiser] + ([result.beside] if result.beside else [])


def _gain(result: Result | None) -> float | None:
    """How much closer in dB the restored picture is than the start."""
    if result is None or result.start is None or result.denoiser.quality is None:
        return None
    return result.denoiser.quality.psnr - result.start.psnr
