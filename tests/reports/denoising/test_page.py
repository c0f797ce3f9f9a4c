"""The page of a denoising run shows what was measured and proven, and refuses files that are damaged."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from report_page import Page
from taut.errors import UserError
from taut.reports import write_report
from taut.reports.denoising.evaluation import read_evaluation
from taut.reports.denoising.learning_plot import draw_learning
from taut.reports.denoising.scatter_plot import scatter_picture
from taut.reports.denoising.strip_plot import busiest, spread, strips_picture
from taut.reports.folder.metrics import read_metrics
from taut.reports.pictures.style import LIGHT

Make = Callable[..., Path]


@pytest.mark.usefixtures("sketched")
@pytest.mark.parametrize("beside", [True, False])
def test_every_number_is_on_the_page_that_stands_alone(tmp_path: Path, make_run: Make, beside: bool) -> None:
    run = make_run(tmp_path / "run", beside=beside)
    page = Page(write_report(run))
    assert page.asks_for_nothing
    result = json.loads((run / "result.json").read_text())
    for of_set in result["sets"].values():
        for method in ("noisy", "tv", "denoiser", "unconstrained")[: 4 if beside else 3]:
            assert {of_set[method]["psnr"], of_set[method]["ssim"]} <= set(page.values)
        assert (
            of_set["denoiser"]["psnr"] - of_set["unconstrained" if beside else "tv"]["psnr"] in page.values
            or not beside
        )
    assert result["lipschitz_bound"] in page.values
    assert ("unconstrained net" in page.text) == beside
    assert {path.name for path in (run / "plots").iterdir()} == {"strips.png", "per_picture.png", "learning.png"}


@pytest.mark.usefixtures("sketched")
def test_that_nothing_is_proven_averaged_is_said(tmp_path: Path, make_run: Make) -> None:
    averaged = Page(write_report(make_run(tmp_path / "a"))).text
    plain = Page(write_report(make_run(tmp_path / "b", averaging=1.0))).text
    assert "D is averaged with θ = 0.5" in averaged
    assert "D is not proven averaged" not in averaged
    assert "D is not proven averaged" in plain


@pytest.mark.usefixtures("sketched")
def test_a_run_that_is_not_finished_has_a_page(tmp_path: Path, make_run: Make) -> None:
    run = make_run(tmp_path / "run")
    for name in ("result.json", "evaluation.safetensors"):
        (run / name).unlink()
    text = Page(write_report(run)).text
    assert "This run has no result.json yet" in text
    assert "no evaluation.safetensors with pictures yet" in text


def test_curves_show_the_log_and_points_the_gains(tmp_path: Path, make_run: Make) -> None:
    run = make_run(tmp_path / "run")
    axes = draw_learning(read_metrics(run / "metrics.jsonl", required=()), LIGHT).axes[0]
    lines = {line.get_label(): np.asarray(line.get_ydata(), dtype=float) for line in axes.lines}
    logged = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert lines["denoiser, held-out pictures"].tolist() == [line["psnr"] for line in logged if line["kind"] == "valid"]
    losses = np.array([line["unconstrained_loss"] for line in logged if line["kind"] == "train"])
    assert np.allclose(lines["unconstrained net, training patches"], -10 * np.log10(losses))
    found = read_evaluation(run / "evaluation.safetensors")
    assert scatter_picture(found) is not None
    assert strips_picture(found.strips).light.startswith(b"\x89PNG")
    assert [(strip.test_set, strip.index) for strip in spread(found.strips)] == [
        ("bsd68", 0),
        ("set12", 0),
        ("bsd68", 1),
    ]
    assert found.strips[0].psnr["tv"] == float(found.psnr["bsd68"]["tv"][0])


def test_the_square_that_is_shown_has_the_detail_and_lies_in_the_picture() -> None:
    image = np.zeros((1, 300, 400))
    image[0, 250:260, 300:310] = np.random.default_rng(0).random((10, 10))
    top, left = busiest(image, 128)
    assert top <= 250 <= 260 <= top + 128 <= 300
    assert left <= 300 <= 310 <= left + 128 <= 400
    assert busiest(np.zeros((3, 20, 500)), 128)[0] == 0


def _field(name: str, value: object) -> Callable[[Path], None]:
    def damage(run: Path) -> None:
        values = json.loads((run / "result.json").read_text())
        (run / "result.json").write_text(json.dumps(values | {name: value}))

    return damage


def _tensors(**changes: np.ndarray | None) -> Callable[[Path], None]:
    def damage(run: Path) -> None:
        path = run / "evaluation.safetensors"
        tensors = load_file(path) | {name.replace("_", "/"): value for name, value in changes.items()}
        save_file({name: value for name, value in tensors.items() if value is not None}, path)

    return damage


@pytest.mark.usefixtures("sketched")
@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (_field("lipschitz_bound", None), "'lipschitz_bound' must be a number, it is missing"),
        (_field("sets", {"bsd68": {"images": 1}}), "'sets.bsd68.noisy.psnr' must be a number"),
        (_tensors(odd=np.zeros(3)), "'odd' is not the name of a tensor"),
        (_tensors(bsd68_tv_psnr=None), "lacks the PSNR of tv on picture 0 of bsd68"),
        (_tensors(set12_tv_1=np.zeros((1, 3, 3), dtype=np.uint8)), "set12/tv/1 has another shape"),
    ],
)
def test_what_is_damaged_is_named(
    tmp_path: Path, make_run: Make, damage: Callable[[Path], None], sentence: str
) -> None:
    run = make_run(tmp_path / "run")
    damage(run)
    with pytest.raises(UserError, match=f"is damaged: .*{re.escape(sentence)}"):
        write_report(run)
