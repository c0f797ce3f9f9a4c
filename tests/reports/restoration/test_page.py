"""The page of a restoration shows the pictures, counts the rises, and says plainly whether a theorem holds."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.numpy import load_file, save_file

from report_page import Page
from taut.data.image_file import read_image
from taut.errors import UserError
from taut.reports import write_report
from taut.reports.folder.run_folder import read_folder
from taut.reports.pictures.style import LIGHT
from taut.reports.restoration.course_plot import draw_psnr, draw_residuals
from taut.reports.restoration.picture_file import as_picture
from taut.reports.restoration.run import Course, read_run
from taut.reports.restoration.strip_plot import draw_strip

Make = Callable[..., Path]


def changed(path: Path, change: Callable[[dict], object]) -> Path:
    content = json.loads((path / "result.json").read_text())
    change(content)
    (path / "result.json").write_text(json.dumps(content))
    return path


@pytest.mark.usefixtures("sketched")
def test_every_number_is_there_and_what_holds_is_said(make_run: Make, tmp_path: Path) -> None:
    path = make_run(tmp_path / "run")
    result = json.loads((path / "result.json").read_text())
    page = Page(write_report(path))
    assert page.asks_for_nothing
    expected = {result["start"]["psnr"]}
    for method in (result["denoiser"], result["beside"]):
        expected |= {method["quality"]["psnr"], method["lipschitz_bound"], method["residual"]["last"]}
    assert set(page.values) == expected | {result["denoiser"]["quality"]["ssim"]}
    rises = result["beside"]["residual"]["increases"]
    assert rises > 3
    for words in (
        "That the iteration converges, if it has a fixed point, is proven",
        "Only a contraction is proven to have one",
        "aoc: it never rises in 80 iterations.",
        f"plain: it rises {rises} times in 80 iterations",
        "θ = 0.5",
        "+7.75 dB from the start",
        "The denoiser is not proven to be averaged.",
        "the first of its 3 frames",
        "Krasnoselskii-Mann",
    ):
        assert words in page.text, words


@pytest.mark.usefixtures("sketched")
def test_a_measurement_of_ones_own_is_compared_with_nothing(make_run: Make, tmp_path: Path) -> None:
    page = Page(write_report(make_run(tmp_path / "run", measured=True, beside=False)))
    assert "PSNR of" not in page.text
    assert "Original" not in page.text


@pytest.mark.usefixtures("sketched")
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda c: c["denoiser"]["check"].update(holds=False), "No theorem says that this iteration converges"),
        (lambda c: c["denoiser"]["residual"].update(increases=2), "The residual rose 2 times"),
        (lambda c: c["denoiser"]["residual"].update(diverged=True), "diverged although the theorem"),
        (lambda c: c["beside"].update(lipschitz_bound=None, quality=None), "none"),
        (lambda c: c["denoiser"].update(inexact=True), "for the exact denoiser; this one is computed to a tolerance"),
    ],
)
def test_what_contradicts_the_theorem_is_said_loudly(make_run: Make, tmp_path: Path, change, words: str) -> None:
    path = changed(make_run(tmp_path / "run"), change)
    assert words in Page(write_report(path)).text


@pytest.mark.usefixtures("sketched")
def test_an_unfinished_run_has_a_page(make_run: Make, tmp_path: Path) -> None:
    path = make_run(tmp_path / "run")
    for file in path.iterdir():
        if file.name != "config.json":
            file.unlink()
    assert "no result.json" in Page(write_report(path)).text


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda path: (path / "restored.png").write_bytes(b"no"), "restored.png is damaged"),
        (lambda path: changed(path, lambda c: c["start"].pop("ssim")), "'start.ssim' must be a number"),
        (lambda path: changed(path, lambda c: c["beside"].pop("check")), "'beside.check.holds' must be true or false"),
        (lambda path: changed(path, lambda c: c.update(beside=None)), "different numbers of iterations of beside"),
        (lambda path: save_file({"x": np.ones(2)}, path / "evaluation.safetensors"), "denoiser"),
        (lambda path: save_file({"denoiser": np.full(80, np.nan)}, path / "evaluation.safetensors"), "finite numbers"),
    ],
)
def test_damage_is_named(make_run: Make, tmp_path: Path, damage, words: str) -> None:
    path = make_run(tmp_path / "run")
    damage(path)
    with pytest.raises(UserError, match=words):
        write_report(path)
    assert not (path / "report.html").exists()


def test_the_curves_are_the_numbers_of_the_run(make_run: Make, tmp_path: Path) -> None:
    path = make_run(tmp_path / "run")
    run, rows = read_run(read_folder(path)), load_file(path / "evaluation.safetensors")
    (axes,) = draw_residuals(run.denoiser, run.beside, ("aoc", "plain"), LIGHT).axes
    assert axes.get_yscale() == "log"
    for line, name in zip(axes.lines, ("denoiser", "beside"), strict=True):
        np.testing.assert_array_equal(line.get_ydata(), rows[name])
        np.testing.assert_array_equal(line.get_xdata(), np.arange(1, 81))
    diverged = np.array([20.0, -300.0])
    (axes,) = draw_psnr({"aoc": rows["denoiser_psnr"], "plain": diverged}, 22.0, LIGHT).axes
    assert axes.get_ylim()[0] > -10  # what diverges does not flatten the rest
    exact = Course(residual=np.array([1.0, 0.0]), psnr=None)
    (axes,) = draw_residuals(exact, None, ("a", "b"), LIGHT).axes
    assert np.isnan(axes.lines[0].get_ydata()[1])


def test_a_strip_shows_the_same_detail_of_pictures_of_two_sizes() -> None:
    large = np.zeros((256, 320))
    large[100:110:2, 200:230] = 1
    small = large[::2, ::2]
    axes = draw_strip({"original": large, "measurement": small}, {"original": "a", "measurement": "b"}, LIGHT).axes
    shown = [one.images[0].get_array() for one in axes]
    assert [image.shape for image in shown] == [(256, 320), (128, 160), (64, 64), (32, 32)]
    np.testing.assert_array_equal(shown[2][::2, ::2], shown[3])
    assert shown[2].max() == 1
    assert len(draw_strip({"original": small[:64, :64]}, {"original": "a"}, LIGHT).axes) == 1


@pytest.mark.parametrize(
    ("channels", "bits", "alpha", "mode"),
    [(1, 8, False, "L"), (3, 8, False, "RGB"), (1, 16, False, "I;16"), (1, 8, True, "LA"), (3, 16, True, "RGBA")],
)
def test_a_picture_is_written_as_it_was_read(tmp_path: Path, channels: int, bits: int, alpha: bool, mode: str) -> None:
    largest = 65535 if mode == "I;16" else 255
    levels = torch.randint(0, largest + 1, (channels + alpha, 6, 5), generator=torch.Generator().manual_seed(0))
    levels[-1, 0, 0] = 0
    pixels = levels.float() / largest
    image = as_picture(pixels[:channels], bits=bits, alpha=pixels[-1] if alpha else None)
    image.save(tmp_path / "a.png")
    found = read_image(tmp_path / "a.png")
    assert Image.open(tmp_path / "a.png").mode == mode
    assert torch.equal(found.pixels, pixels[:channels])
    assert (found.alpha is not None) == alpha
    assert not alpha or torch.equal(found.alpha, pixels[-1])
    outside = torch.tensor([[[-1.0, 0.5, 7.0]]])
    assert [as_picture(outside).getpixel((x, 0)) for x in range(3)] == [0, 128, 255]
    with pytest.raises(ValueError, match="NaN"):
        as_picture(outside * torch.nan)
