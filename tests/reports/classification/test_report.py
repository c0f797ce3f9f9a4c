"""The page of one run: what it says equals what the run measured, and it stands alone."""

import base64
import json
from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl
import pytest
from safetensors.numpy import load_file, save_file

from report_page import Page
from taut.errors import UserError
from taut.reports import report, write_report

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(name="drawn_run", scope="module")
def _drawn_run(tmp_path_factory: pytest.TempPathFactory, make_run: Callable[..., Path]) -> Path:
    """One run with its page, drawn in full; for tests that only look."""
    run_dir = make_run(tmp_path_factory.mktemp("drawn") / "run")
    write_report(run_dir)
    return run_dir


def test_every_headline_number_on_the_page_is_that_of_result_json(drawn_run: Path) -> None:
    result = json.loads((drawn_run / "result.json").read_text())
    page = Page(drawn_run / "report.html")
    expected = [
        result["accuracy"],
        result["lipschitz_bound"],
        *result["certified"].values(),
        *result["attacked"].values(),
        *(layer["bound"] for layer in result["layers"]),
    ]
    assert set(page.values) == set(expected)
    for fraction in (result["accuracy"], *result["certified"].values(), *result["attacked"].values()):
        assert f"{100 * fraction:.2f}\u202f%" in page.text


def test_the_page_is_one_file_that_asks_for_nothing(drawn_run: Path) -> None:
    page = Page(drawn_run / "report.html")
    assert page.resources
    assert page.asks_for_nothing


def test_the_plots_beside_the_page_are_the_ones_in_it(drawn_run: Path) -> None:
    resources = Page(drawn_run / "report.html").resources
    embedded = {base64.b64decode(resource.partition(",")[2]) for resource in resources}
    files = {path.name: path.read_bytes() for path in (drawn_run / "plots").iterdir()}
    assert set(files) == {
        "certified_accuracy.png",
        "learning.png",
        "margins.png",
        "singular_values.png",
        "most_certified.png",
        "least_certified.png",
    }
    assert all(content.startswith(PNG_SIGNATURE) and content in embedded for content in files.values())
    # Each plot is there twice: for light pages and for dark screens.
    assert len(embedded) == 2 * len(files)


def test_the_command_can_be_pasted_into_a_shell(drawn_run: Path) -> None:
    assert "taut train synthetic --seed 0 --out 'runs/a name with spaces'" in Page(drawn_run / "report.html").text


@pytest.mark.usefixtures("sketched")
def test_text_from_the_run_cannot_become_markup(run_dir: Path) -> None:
    _change(run_dir / "result.json", machine="<script>alert(1)</script>")
    page = Page(write_report(run_dir))
    assert "<script>alert(1)</script>" in page.text
    assert "script" not in page.opened


@pytest.mark.usefixtures("sketched")
@pytest.mark.parametrize(
    ("absent", "sentence"),
    [
        ("result.json", "This run has no result.json yet"),
        ("evaluation.safetensors", "There is no evaluation.safetensors in this run"),
        ("metrics.jsonl", "This run has no metrics.jsonl with finished lines"),
        ("certificate.json", "There is no certificate.json in this run"),
    ],
)
def test_a_part_that_is_not_there_is_said_in_a_sentence(run_dir: Path, absent: str, sentence: str) -> None:
    assert sentence not in Page(write_report(run_dir)).text
    (run_dir / absent).unlink()
    assert sentence in Page(write_report(run_dir)).text


@pytest.mark.usefixtures("sketched")
def test_a_run_that_has_only_begun_has_a_page(run_dir: Path) -> None:
    for path in run_dir.iterdir():
        if path.name != "config.json":
            path.unlink()
    assert "not finished" in Page(write_report(run_dir)).text


@pytest.mark.usefixtures("sketched")
def test_an_attack_that_beats_a_certificate_is_shouted(run_dir: Path) -> None:
    assert "do not rely on this run" not in Page(write_report(run_dir)).text
    tensors = load_file(run_dir / "evaluation.safetensors")
    tensors["attacked_0.5"] = tensors["attacked_0.5"] & (tensors["radius"] < tensors["radius"].max())
    save_file(tensors, run_dir / "evaluation.safetensors")
    text = Page(write_report(run_dir)).text
    assert "An attack of 0.5 changed 1 samples whose certified radius is larger" in text
    assert "do not rely on this run" in text


@pytest.mark.usefixtures("sketched")
@pytest.mark.parametrize("failing", ["drawing", "rendering"])
def test_a_failure_before_writing_leaves_the_folder_as_it_was(
    run_dir: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    def fail(*arguments: object) -> None:
        raise RuntimeError("no more ink")

    write_report(run_dir)
    _change(run_dir / "result.json", machine="another machine")
    before = _contents(run_dir)
    if failing == "drawing":
        monkeypatch.setitem(report.PAGES, "classification", fail)
    else:
        monkeypatch.setattr(report, "render", fail)
    with pytest.raises(RuntimeError, match="no more ink"):
        write_report(run_dir)
    assert _contents(run_dir) == before


@pytest.mark.usefixtures("sketched")
def test_a_write_that_fails_half_way_keeps_the_old_page(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    write_report(run_dir)
    before = _contents(run_dir)
    monkeypatch.setattr("taut.files.os.fsync", fail)
    with pytest.raises(UserError, match=r"cannot write .*: No space left on device"):
        write_report(run_dir)
    assert _contents(run_dir) == before


def test_the_page_depends_on_the_run_alone_and_leaves_no_global_state(drawn_run: Path) -> None:
    page = (drawn_run / "report.html").read_bytes()
    with mpl.rc_context({"axes.facecolor": "red", "xtick.direction": "in", "axes.labelpad": 30.0}):
        settings = dict(mpl.rcParams)
        assert write_report(drawn_run).read_bytes() == page
        assert dict(mpl.rcParams) == settings


@pytest.mark.usefixtures("sketched")
def test_a_run_in_the_other_norm_names_it(tmp_path: Path, make_run: Callable[..., Path]) -> None:
    text = Page(write_report(make_run(tmp_path / "linf", norm="linf"))).text
    assert "largest entry (linf norm)" in text
    assert "Euclidean" not in text


@pytest.mark.usefixtures("sketched")
def test_an_attack_on_a_part_of_the_samples_is_compared_on_that_part(run_dir: Path) -> None:
    assert "samples only" not in Page(write_report(run_dir)).text
    result = json.loads((run_dir / "result.json").read_text())
    part = {"samples": 100, "accuracy": 0.98, "certified": dict.fromkeys(result["certified"], 0.43)}
    _change(run_dir / "result.json", attack=result["attack"] | part, attacked=dict.fromkeys(result["certified"], 0.45))
    page = Page(write_report(run_dir))
    assert "restarts 2. It met the first 100 samples only" in page.text
    assert "of those attacked" in page.text
    assert page.text.count("2.00 points") == len(result["certified"])
    assert {0.98, 0.43, 0.45} <= set(page.values)


@pytest.mark.usefixtures("sketched")
def test_layers_without_singular_values_are_listed(run_dir: Path) -> None:
    layers = [
        {"name": "0", "kind": "LInfLinear", "bound": 1.0, "sigma_min": None, "sigma_max": None, "method": "row sums"}
    ]
    assert "computed" in Page(write_report(run_dir)).text
    _change(run_dir / "result.json", layers=layers)
    page = Page(write_report(run_dir))
    assert "LInfLinear" in page.text
    assert "computed" not in page.text  # a column without entries is left out
    assert "Singular values of each layer" not in page.text


def _change(path: Path, **fields: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def _contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
