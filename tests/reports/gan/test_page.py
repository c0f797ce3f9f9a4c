"""The page of a GAN run shows the pictures that the run drew and says plainly what is proven of its critic."""

import base64
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from report_page import Page
from taut.errors import UserError
from taut.reports import write_report
from taut.reports.folder.run_folder import read_folder
from taut.reports.gan.learning_plot import draw_learning
from taut.reports.gan.run import chosen, read_run
from taut.reports.pictures.style import LIGHT

Make = Callable[..., Path]


@pytest.mark.usefixtures("sketched")
def test_the_pictures_of_the_run_are_in_the_page_as_they_are(run_dir: Path) -> None:
    page = Page(write_report(run_dir))
    assert page.asks_for_nothing
    embedded = {base64.b64decode(resource.partition(",")[2]) for resource in page.resources}
    shown = [f"samples/{step:06d}.png" for step in (0, 200, 400, 500, 700, 900)]
    for name in ("samples.png", "real.png", "interpolation.png", "samples.gif", *shown):
        assert (run_dir / name).read_bytes() in embedded
    assert (run_dir / "samples" / "000100.png").read_bytes() not in embedded
    assert any(resource.startswith("data:image/gif;") for resource in page.resources)


@pytest.mark.usefixtures("sketched")
def test_every_number_of_the_quality_is_there(run_dir: Path) -> None:
    result = json.loads((run_dir / "result.json").read_text())
    quality = result["quality"]
    expected = {quality[name] for name in ("frechet", "precision", "recall", "feature_accuracy")}
    expected |= set(quality["reference"].values()) | {result["lipschitz_bound"]}
    expected |= {quality["wasserstein1"][n] for n in ("estimate", "lower", "upper", "transport", "reference_transport")}
    assert set(Page(write_report(run_dir)).values) == expected


@pytest.mark.usefixtures("sketched")
@pytest.mark.parametrize(
    ("gan_type", "sentence"),
    [
        ("lwgan", "is at most 1.0000003 , proven from its weights"),
        ("wgan", "Nothing is proven. Its weights are clipped"),
        ("wgan-gp", "Nothing is proven. A penalty pulls"),
        ("novel", "Nothing is proven. The estimates of this critic bound no distance."),
    ],
)
def test_what_is_proven_of_the_critic_is_said(tmp_path: Path, make_run: Make, gan_type: str, sentence: str) -> None:
    text = Page(write_report(make_run(tmp_path / "run", gan_type=gan_type))).text
    assert sentence in text
    assert ("No Lipschitz constant is proven" in text) == (gan_type != "lwgan")


@pytest.mark.usefixtures("sketched")
def test_a_run_that_has_only_begun_has_a_page(run_dir: Path) -> None:
    for name in ("result.json", "samples.png", "real.png", "samples.gif", "interpolation.png", "metrics.jsonl"):
        (run_dir / name).unlink()
    page = Page(write_report(run_dir))
    assert "This run has no result.json yet" in page.text
    assert "There is neither samples.png nor real.png in this run." in page.text
    assert "after 900 steps" in page.text


@pytest.mark.usefixtures("sketched")
def test_parts_of_the_quality_may_be_absent(run_dir: Path) -> None:
    result = json.loads((run_dir / "result.json").read_text())
    result["quality"] |= {"reference": None, "wasserstein1": None}
    (run_dir / "result.json").write_text(json.dumps(result))
    assert "W1" not in Page(write_report(run_dir)).text
    (run_dir / "result.json").write_text(json.dumps(result | {"quality": None}))
    assert "result.json says nothing of the quality." in Page(write_report(run_dir)).text


@pytest.mark.parametrize(("gan_type", "panels"), [("lwgan", 2), ("wgan-gp", 3)])
def test_the_learning_curves_are_those_of_the_log(tmp_path: Path, make_run: Make, gan_type: str, panels: int) -> None:
    metrics = read_run(read_folder(make_run(tmp_path / "run", gan_type=gan_type))).metrics
    assert metrics is not None
    axes = draw_learning(metrics, LIGHT).axes
    assert len(axes) == panels
    batches, held_out = axes[0].lines
    assert len(np.ravel(batches.get_ydata())) == 300
    assert np.ravel(held_out.get_xdata()).tolist() == list(range(1, 11))
    assert np.ravel(held_out.get_ydata()).tolist() == [point.value("estimate") for point in metrics.valid]


@pytest.mark.parametrize("count", [1, 5, 6, 7, 100])
def test_the_moments_are_the_ends_and_some_between(count: int) -> None:
    steps = list(range(0, 10 * count, 10))
    found = chosen(steps)
    assert len(found) == min(count, 6)
    assert found == sorted(set(found))
    assert {found[0], found[-1]} == {steps[0], steps[-1]}


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "no picture": (lambda run: (run / "samples.png").write_bytes(b"no"), r"samples\.png is damaged: it is no picture"),
    "half a picture": (
        lambda run: (run / "real.png").write_bytes((run / "real.png").read_bytes()[:300]),
        r"real\.png is damaged: it is no picture",
    ),
    "odd name": (
        lambda run: (run / "samples" / "last.png").write_bytes(b""),
        r"last\.png is damaged: its name must",
    ),
    "no data set": (lambda run: _change(run, dataset=None), "'dataset' must be a string, it is missing"),
    "two sides": (lambda run: _change(run, shape=[1, 2]), r"'shape' must be a list of 3 numbers, got \[1, 2\]"),
    "no precision": (
        lambda run: _change(run, quality={"samples": 1, "features": "x", "frechet": 1}),
        "'quality.preci",
    ),
    "odd parameters": (lambda run: _change(run, parameters={"critic": "many"}), "'parameters.critic' must be a number"),
}


@pytest.mark.usefixtures("sketched")
@pytest.mark.parametrize("name", DAMAGES)
def test_damage_is_named_in_one_sentence(run_dir: Path, name: str) -> None:
    damage, sentence = DAMAGES[name]
    damage(run_dir)
    with pytest.raises(UserError, match=sentence) as caught:
        write_report(run_dir)
    assert str(run_dir) in str(caught.value)
    assert "\n" not in str(caught.value)


def _change(run_dir: Path, **fields: object) -> None:
    path = run_dir / "result.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))
