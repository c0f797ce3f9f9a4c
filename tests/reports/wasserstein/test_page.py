"""The page of a Wasserstein run says what the run measured, on the honest side, and stands alone."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors.numpy import load_file, save_file

from report_page import Page
from taut.reports import write_report
from taut.reports.pictures import style
from taut.reports.wasserstein.beside import activation_name

Make = Callable[..., Path]


def test_the_page_of_a_plane_is_drawn_in_full_and_stands_alone(
    tmp_path: Path, make_run: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(style, "PIXELS_PER_INCH", 32)  # coarse pictures are as whole as fine ones, and sooner there
    run = make_run(tmp_path / "run", shape=(2,), beside="relu")
    page = Page(write_report(run))
    assert page.asks_for_nothing
    assert {path.stem for path in (run / "plots").iterdir()} == {
        "bracket",
        "gradient_norm",
        "learning",
        "potential",
        "potential_surface",
        "singular_values",
    }


@pytest.mark.usefixtures("sketched")
def test_every_number_is_that_of_result_json(run_dir: Path) -> None:
    result = json.loads((run_dir / "result.json").read_text())
    page = Page(write_report(run_dir))
    names = ("estimate", "standard_error", "lower", "upper", "truth")
    expected = {result[name] for name in names} | {layer["bound"] for layer in result["layers"]}
    expected |= {result["estimate"] / result["truth"], result["gradient_norm"]["share_above_0.9"]}
    assert set(page.values) == expected
    assert f"between P and Q (95 % confidence, {result['samples']} held-out samples of each)" in page.text
    assert "Exact transport between 300 samples of each costs 1.0312 . The true distance is 1.0000 ." in page.text
    assert result["p_description"] in page.text
    assert result["q"] in page.text
    assert "taut train synthetic --seed 3" in page.text


@pytest.mark.usefixtures("sketched")
def test_ends_are_rounded_away_from_the_distance(run_dir: Path) -> None:
    _change(run_dir, lower=0.96679, upper=1.03121)
    text = Page(write_report(run_dir)).text
    assert "at least 0.9667 between" in text
    assert "1.0313 upper end" in text


@pytest.mark.usefixtures("sketched")
def test_what_is_not_known_is_said(tmp_path: Path, make_run: Make) -> None:
    text = Page(write_report(make_run(tmp_path / "run", known=False, upper=False))).text
    assert "Exact transport between samples was not computed. The true distance is not known." in text
    assert "This run has no upper end" in text
    assert "of the truth" not in text
    text = Page(write_report(make_run(tmp_path / "other", known=False))).text
    assert "estimate, of exact transport between samples" in text


@pytest.mark.usefixtures("sketched")
@pytest.mark.parametrize(
    ("shape", "plots", "sentence"),
    [
        ((1,), {"potential"}, "The critic beside a true potential."),
        ((2,), {"potential", "potential_surface"}, "on the same levels"),
        ((5,), {"potential", "potential_surface"}, "A plane through the first two coordinates."),
        ((1, 4, 4), {"samples"}, "Samples of P and of Q."),
    ],
)
def test_the_dimension_decides_what_is_drawn(
    tmp_path: Path, make_run: Make, shape: tuple[int, ...], plots: set[str], sentence: str
) -> None:
    run = make_run(tmp_path / "run", shape=shape)
    text = Page(write_report(run)).text
    always = {"bracket", "gradient_norm", "learning", "singular_values"}
    assert {path.stem for path in (run / "plots").iterdir()} == always | plots
    assert sentence in text


@pytest.mark.usefixtures("sketched")
@pytest.mark.parametrize(
    ("absent", "sentence"),
    [
        ("result.json", "This run has no result.json yet"),
        ("evaluation.safetensors", "There is no evaluation.safetensors in this run"),
        ("metrics.jsonl", "This run has no metrics.jsonl with finished lines"),
    ],
)
def test_a_part_that_is_not_there_is_said_in_a_sentence(run_dir: Path, absent: str, sentence: str) -> None:
    assert sentence not in Page(write_report(run_dir)).text
    (run_dir / absent).unlink()
    assert sentence in Page(write_report(run_dir)).text


@pytest.mark.usefixtures("sketched")
def test_a_slope_above_the_constant_is_shouted(run_dir: Path) -> None:
    gradient_norm = json.loads((run_dir / "result.json").read_text())["gradient_norm"]
    _change(run_dir, gradient_norm=gradient_norm | {"maximum": 1.0000005})
    assert "do not rely on this run" not in Page(write_report(run_dir)).text
    _change(run_dir, gradient_norm=gradient_norm | {"maximum": 1.25})
    text = Page(write_report(run_dir)).text
    assert "has length 1.2500 somewhere" in text
    assert "do not rely on this run" in text


@pytest.mark.usefixtures("sketched")
@pytest.mark.parametrize(
    ("shape", "captions"),
    [
        ((1,), ["Purple: the second critic, with ReLU. Where"]),
        ((2,), ["Last: the second critic, with ReLU,", "flat one:"]),
    ],
)
def test_a_second_critic_is_compared_in_every_section(
    tmp_path: Path, make_run: Make, shape: tuple[int, ...], captions: list[str]
) -> None:
    run = make_run(tmp_path / "run", shape=shape, beside="relu")
    page = Page(write_report(run))
    share = json.loads((run / "result.json").read_text())["beside"]["gradient_norm"]["share_above_0.9"]
    assert {0.4871, share} <= set(page.values)
    assert "with ReLU in place of MaxMin and all else the same" in page.text
    assert re.search(r"It finds 0\.4871 on the same held-out samples, 48\.71\s% of the truth", page.text)
    for sentence in (
        *captions,
        "with ReLU, at the same points: mean 0.4",
        "with ReLU, on held-out samples",
        "1.0000004",
    ):
        assert sentence in page.text
    _change(run, truth=None)
    assert re.search(r"47\.24\s% of exact transport between samples", Page(write_report(run)).text)


@pytest.mark.usefixtures("sketched")
def test_without_a_second_critic_nothing_is_said_of_one(run_dir: Path) -> None:
    text = Page(write_report(run_dir)).text
    _change(run_dir, beside=..., activation=...)
    assert Page(write_report(run_dir)).text == text
    assert not re.search("second|ReLU|Purple", text)


@pytest.mark.usefixtures("sketched")
def test_a_second_critic_that_is_too_steep_is_shouted(tmp_path: Path, make_run: Make) -> None:
    run = make_run(tmp_path / "run", beside="relu")
    beside = json.loads((run / "result.json").read_text())["beside"]
    _change(run, beside=beside | {"gradient_norm": beside["gradient_norm"] | {"maximum": 1.25}})
    assert (
        "The gradient of the critic with ReLU divided by its constant has length 1.2500" in Page(write_report(run)).text
    )


@pytest.mark.parametrize(
    ("key", "name"), [("relu", "ReLU"), ("max-min", "MaxMin"), ("group-sort", "GroupSort"), ("x", "x")]
)
def test_activations_are_named_as_persons_write_them(key: str, name: str) -> None:
    assert activation_name(key) == name


@pytest.mark.usefixtures("sketched")
def test_ends_that_cross_are_said(run_dir: Path) -> None:
    assert "lies above" not in Page(write_report(run_dir)).text
    _change(run_dir, lower=1.01)
    text = Page(write_report(run_dir)).text
    assert "The lower end lies above the truth." in text
    assert "The lower end lies above the upper one." not in text
    _change(run_dir, lower=1.2)
    assert "The lower end lies above the upper one." in Page(write_report(run_dir)).text


@pytest.mark.usefixtures("sketched")
def test_a_run_without_gradients_or_layers_has_a_page(run_dir: Path) -> None:
    _change(run_dir, gradient_norm=None, layers=[])
    tensors = load_file(run_dir / "evaluation.safetensors")
    save_file({name: tensors[name] for name in tensors if "grid" not in name}, run_dir / "evaluation.safetensors")
    text = Page(write_report(run_dir)).text
    assert "result.json lists no layers" in text
    assert "The potential" not in text


def _change(run_dir: Path, **fields: object) -> None:
    path = run_dir / "result.json"
    values = json.loads(path.read_text()) | fields
    path.write_text(json.dumps({key: value for key, value in values.items() if value is not ...}))
