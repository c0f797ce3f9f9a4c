"""Runs from beginning to end: what they leave, that they repeat, and what can be done with them afterwards."""

import json
import os
import shutil
from pathlib import Path

import pytest
import safetensors.torch
import torch


def numbers(run: Path) -> dict:
    result = json.loads((run / "result.json").read_text())
    return {key: result[key] for key in ("accuracy", "certified", "attacked", "lipschitz_bound", "layers")}


def weights(run: Path) -> dict[str, torch.Tensor]:
    return safetensors.torch.load_file(run / "model.safetensors")


def same(first: Path, second: Path) -> bool:
    mine, theirs = weights(first), weights(second)
    return mine.keys() == theirs.keys() and all(torch.equal(mine[name], theirs[name]) for name in mine)


def test_a_run_leaves_what_it_promises(finished: Path) -> None:
    names = {path.name for path in finished.iterdir()}
    files = {"config.json", "metrics.jsonl", "model.safetensors", "folded.safetensors", "evaluation.safetensors"}
    assert names == files | {
        "result.json", "certificate.json", "network.safetensors", "samples.npz", "report.html", "plots", "checkpoints",
    }  # fmt: skip
    result = json.loads((finished / "result.json").read_text())
    assert (result["task"], result["recipe"], result["dataset"], result["samples"]) == (
        "classification", "digits", "digits", 450,
    )  # fmt: skip
    assert set(result["certified"]) == set(result["attacked"]) == {"0.1", "0.25", "0.5", "0.75", "1"}
    assert result["command"][:3] == ["taut", "train", "digits"]
    evaluation = safetensors.torch.load_file(finished / "evaluation.safetensors")
    for eps, share in result["certified"].items():
        assert share == float((evaluation["radius"] > float(eps)).double().mean())
        assert evaluation[f"attacked_{eps}"].shape == (450,)
    assert result["accuracy"] == float((evaluation["prediction"] == evaluation["label"]).double().mean())
    assert result["accuracy"] > 0.2
    kinds = {json.loads(line)["kind"] for line in (finished / "metrics.jsonl").read_text().splitlines()}
    assert kinds == {"train", "valid"}


def test_the_table_shows_the_numbers_and_the_paths(taut, tiny, no_report, tmp_path: Path) -> None:
    out = tmp_path / "run"
    shown = taut("train", "digits", *tiny, "--out", out)
    assert (shown.code, shown.err) == (0, "")
    result = json.loads((out / "result.json").read_text())
    for share in (result["accuracy"], *result["certified"].values(), *result["attacked"].values()):
        assert f"{100 * share:.2f} %" in shown.out
    assert f"proven Lipschitz constant of the network (l2): {result['lipschitz_bound']:.7g}" in shown.out
    assert f"wrote {out / 'certificate.json'}" in shown.out
    assert "the first 30 of 450 samples" in shown.out


def test_a_replay_gives_the_same_numbers_and_other_options_other_ones(
    taut, finished, no_report, tmp_path: Path
) -> None:
    assert taut("train", finished / "config.json", "--out", tmp_path / "again").code == 0
    assert same(finished, tmp_path / "again")
    assert numbers(tmp_path / "again") == numbers(finished)
    options = ["--seed", "1", "--out", tmp_path / "other"]
    assert taut("train", "--config", finished / "config.json", *options).code == 0
    assert not same(finished, tmp_path / "other")
    written = json.loads((tmp_path / "other" / "config.json").read_text())
    assert written["seed"] == written["config"]["seed"] == 1
    assert written["recipe"] == "digits"


def test_folders_of_runs_in_the_same_second_do_not_collide(taut, tiny, no_report, tmp_path: Path, monkeypatch) -> None:
    import time

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(time, "strftime", lambda _: "20260101-000000")
    for _ in range(2):
        assert taut("train", "digits", *tiny, "--epochs", "1", "--attack-samples", "0").code == 0
    names = sorted(path.name for path in (tmp_path / "runs").iterdir())
    assert names == ["digits-20260101-000000", "digits-20260101-000000-2"]
    assert json.loads((tmp_path / "runs" / names[0] / "result.json").read_text())["attacked"] == {}


def test_a_run_in_double_precision_is_read_back_in_it(taut, tiny, no_report, tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert taut("train", "digits", *tiny, "--epochs", "1", "--precision", "64-true", "--out", out).code == 0
    assert all(tensor.dtype == torch.float64 for tensor in weights(out).values())
    shown = taut("verify", out / "certificate.json")
    assert (shown.code, shown.err) == (0, "")


def test_evaluate_recomputes_and_writes_nothing(taut, finished: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in finished.rglob("*")}
    shown = json.loads(taut("evaluate", finished, "--json").out)
    result = json.loads((finished / "result.json").read_text())
    assert (shown["accuracy"], shown["certified"]) == (result["accuracy"], result["certified"])
    assert list(json.loads(taut("evaluate", finished, "--radii", "0.3", "--json").out)["certified"]) == ["0.3"]
    assert "1347 training samples" in taut("evaluate", finished, "--split", "train").out
    assert {path: path.stat().st_mtime_ns for path in finished.rglob("*")} == before


def test_attack_agrees_with_the_run_and_refutes_no_certificate(taut, finished: Path) -> None:
    options = ["--samples", "30", "--steps", "3", "--restarts", "2", "--json", "--accelerator", "cpu"]
    shown = json.loads(taut("attack", finished, *options).out)
    assert shown["attacked"] == json.loads((finished / "result.json").read_text())["attacked"]
    for eps, share in shown["attacked"].items():
        assert share >= shown["attack"]["certified"][eps]


def test_a_certificate_is_verified_and_a_changed_one_refused(taut, finished: Path, tmp_path: Path) -> None:
    path = tmp_path / "certificate.json"
    assert taut("certify", finished, "--out", path).code == 0
    assert json.loads(path.read_text())["radius"] == json.loads((finished / "certificate.json").read_text())["radius"]
    shown = taut("verify", finished / "certificate.json")
    assert (shown.code, shown.err) == (0, "")
    assert "holds: 450 samples" in shown.out
    assert taut("verify", path).code == 0
    assert taut("verify", path, "--run", finished).code == 0
    path.write_text(path.read_text().replace('"norm": "l2"', '"norm": "linf"'))
    shown = taut("verify", path, "--run", finished)
    assert shown.code == 1
    assert "certificate" in shown.err
    assert shown.err.count("\n") == 1


def test_audit_of_a_run_and_of_a_module(taut, finished: Path, tmp_path: Path, monkeypatch) -> None:
    audit = json.loads(taut("audit", finished, "--json").out)
    result = json.loads((finished / "result.json").read_text())
    assert [row["bound"] for row in audit["layers"]] == [row["bound"] for row in result["layers"]]
    (tmp_path / "mine_for_audit.py").write_text(
        "import torch\ndef net():\n    return torch.nn.Linear(3, 2)\nnumber = 3\n"
    )
    monkeypatch.chdir(tmp_path)
    safetensors.torch.save_file({"weight": 2 * torch.eye(2, 3), "bias": torch.zeros(2)}, "weights.safetensors")
    shown = taut("audit", "mine_for_audit:net", "--weights", "weights.safetensors", "--json")
    assert json.loads(shown.out)["bound"] == pytest.approx(2.0)
    shown = taut("audit", "mine_for_audit:number")
    assert (shown.code, "not a torch module" in shown.err) == (2, True)


def test_report_of_one_run_and_of_several(taut, finished: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(finished, copy)
    (copy / "report.html").unlink()
    assert taut("report", copy).code == 0
    assert (copy / "report.html").stat().st_size > 1000
    out = tmp_path / "comparison.html"
    assert taut("report", copy, finished, "--out", out).code == 0
    assert out.stat().st_size > 1000


def test_an_attack_that_refutes_the_certificate_fails_the_run(
    taut, tiny, no_report, tmp_path: Path, monkeypatch
) -> None:
    from dataclasses import replace

    from taut import certify

    prove = certify.robustness

    def too_good(*arguments, **options):
        honest = prove(*arguments, **options)
        return replace(honest, radius=honest.radius + 0.5)

    monkeypatch.setattr(certify, "robustness", too_good)
    out = tmp_path / "run"
    shown = taut("train", "digits", *tiny, "--out", out)
    assert shown.code == 1
    assert "certificate refuted" in shown.err
    assert (out / "violation.safetensors").is_file()
    assert not (out / "result.json").exists()
    assert not (out / "certificate.json").exists()


@pytest.mark.skipif("TAUT_DATA_ROOT" not in os.environ, reason="TAUT_DATA_ROOT is not set: no MNIST files")
def test_mnist_trains_from_its_files(taut, no_report, tmp_path: Path) -> None:
    options = ["--width", "32", "--depth", "1", "--epochs", "1", "--batch-size", "500", "--accelerator", "cpu"]
    attack = ["--attack-samples", "20", "--attack-steps", "2"]
    assert taut("train", "mnist-wide-margin", *options, *attack, "--out", tmp_path / "run").code == 0
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert (result["samples"], list(result["certified"])) == (10000, ["0.1", "0.3", "0.5", "1", "1.58"])
    assert result["accuracy"] > 0.7
