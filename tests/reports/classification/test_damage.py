"""Whatever is wrong with a folder, a person gets one sentence that names the file."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from taut.errors import UserError
from taut.reports import write_report

MANY_SAMPLES = 401


def _text(name: str, content: str) -> Callable[[Path], None]:
    return lambda run: (run / name).write_text(content) and None


def _field(name: str, **fields: Any) -> Callable[[Path], None]:
    def damage(run: Path) -> None:
        values = json.loads((run / name).read_text()) | fields
        (run / name).write_text(json.dumps({key: value for key, value in values.items() if value is not ...}))

    return damage


def _tensor(**changes: np.ndarray | None) -> Callable[[Path], None]:
    def damage(run: Path) -> None:
        tensors: dict[str, Any] = load_file(run / "evaluation.safetensors") | changes
        save_file({key: value for key, value in tensors.items() if value is not None}, run / "evaluation.safetensors")

    return damage


def _append(name: str, content: str) -> Callable[[Path], None]:
    return lambda run: (run / name).write_text((run / name).read_text() + content) and None


DAMAGES: dict[str, tuple[Callable[[Path], None], str]] = {
    "no config": (lambda run: (run / "config.json").unlink(), "is no run folder: it has no config.json"),
    "config no json": (_text("config.json", "{"), r"config\.json is damaged: it is not JSON"),
    "config a list": (_text("config.json", "[]"), r"config\.json is damaged: it must hold a JSON object, not list"),
    "unknown task": (
        _field("config.json", task="juggling"),
        r"config\.json names the task 'juggling'; reports know: cl",
    ),
    "no task": (_field("config.json", task=...), r"config\.json names the task None"),
    "config twice nested": (_field("config.json", config=[1]), r"config\.json is damaged: 'config' must be an object"),
    "result no json": (_text("result.json", "NaN?"), r"result\.json is damaged: it is not JSON"),
    "result not utf-8": (lambda run: (run / "result.json").write_bytes(b"\xff\xfe"), r"result\.json is damaged"),
    "no accuracy": (_field("result.json", accuracy=...), "'accuracy' must be a number, it is missing"),
    "accuracy a word": (_field("result.json", accuracy="high"), "'accuracy' must be a number, got 'high'"),
    "accuracy true": (_field("result.json", accuracy=True), "'accuracy' must be a number, got True"),
    "unknown norm": (_field("result.json", norm="l7"), "'norm' must be \"l2\" or \"linf\", got 'l7'"),
    "odd radius": (_field("result.json", certified={"big": 0.5}), "'certified' must be an object from radii"),
    "odd layers": (_field("result.json", layers=["0"]), "'layers' must be a list of objects"),
    "other samples": (
        _field("result.json", samples=MANY_SAMPLES),
        rf"result\.json speaks of {MANY_SAMPLES} samples, evaluation\.safetensors holds 400",
    ),
    "other certified": (_field("result.json", certified={"0.25": 0.99}), r"says that 0\.99 is certified at 0\.25"),
    "truncated tensors": (
        lambda run: (run / "evaluation.safetensors").write_bytes((run / "evaluation.safetensors").read_bytes()[:99]),
        r"evaluation\.safetensors is damaged",
    ),
    "no radius": (_tensor(radius=None), r"evaluation\.safetensors is damaged: it lacks radius"),
    "short margin": (_tensor(margin=np.zeros(3)), "must have one value per sample"),
    "negative radius": (_tensor(radius=np.full(400, -1.0)), "every radius must be a number"),
    "odd attack": (_tensor(attacked_hard=np.zeros(400, dtype=bool)), "'attacked_hard' does not end with the size"),
    "picture elsewhere": (
        _tensor(most_certified_index=np.full(8, 400)),
        "most_certified must be pictures with their places in most_certified_index",
    ),
    "metrics no json": (_append("metrics.jsonl", "{]\n"), r"metrics\.jsonl is damaged: line 141 is not JSON"),
    "metrics a number": (
        _append("metrics.jsonl", "7\n"),
        r"metrics\.jsonl is damaged: line 141 must hold a JSON object",
    ),
    "metrics no loss": (
        _append("metrics.jsonl", '{"kind": "train", "step": 1}\n'),
        r"metrics\.jsonl is damaged: 'loss' must be a number, it is missing",
    ),
    "certificate no json": (_text("certificate.json", "?"), r"certificate\.json is damaged: it is not JSON"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_damage_is_named_in_one_sentence(run_dir: Path, name: str) -> None:
    damage, sentence = DAMAGES[name]
    damage(run_dir)
    with pytest.raises(UserError, match=sentence) as caught:
        write_report(run_dir)
    assert str(run_dir) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (run_dir / "report.html").exists()


def test_no_folder_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nowhere is no run folder: there is no such folder"):
        write_report(tmp_path / "nowhere")


@pytest.mark.usefixtures("sketched")
def test_a_last_line_that_is_still_being_written_is_left_out(run_dir: Path) -> None:
    whole = write_report(run_dir).read_bytes()
    _append("metrics.jsonl", '{"kind": "train", "st')(run_dir)
    assert write_report(run_dir).read_bytes() == whole
