"""What the command line says to those who ask and to those who err: one sentence, an exit code, nothing written."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import taut as package


def test_help_and_errors_about_commands_do_not_wait_for_torch() -> None:
    code = (
        "import sys; from taut.cli import main\n"
        "codes = [main(words) for words in ([], ['--help'], ['--version'], ['trian'])]\n"
        "heavy = {'torch', 'tyro', 'rich', 'numpy', 'lightning_fabric'} & set(sys.modules)\n"
        "assert codes == [0, 0, 0, 2] and not heavy, (codes, heavy)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_every_command_has_help(taut) -> None:
    from taut.cli.program import COMMANDS

    listed = taut("--help").out
    for command in COMMANDS:
        assert f"\n  {command} " in listed
        shown = taut(command, "--help")
        assert (shown.code, shown.err) == (0, "")
        assert f"usage: taut {command}" in shown.out
    assert taut("--version").out == f"taut {package.__version__}\n"


@pytest.mark.parametrize("recipe", ["digits", "mnist", "mnist-wide-margin", "fashion-mnist"])
def test_the_help_of_a_recipe_shows_every_field_with_its_value(taut, recipe: str, monkeypatch) -> None:
    import dataclasses

    from taut.recipes import recipe as config_of

    monkeypatch.setenv("COLUMNS", "100")  # a wider help has two columns
    shown = taut("train", recipe, "--help")
    assert shown.code == 0
    text = " ".join(shown.out.replace("│", " ").split())

    def check(config: object) -> None:
        for field in dataclasses.fields(config):
            value = getattr(config, field.name)
            if dataclasses.is_dataclass(value):
                check(value)
                continue
            no = "no-" if value is True else ""  # what is on can be turned off
            assert f"--{no}{field.name.replace('_', '-')} " in text
            written = re.sub(r"[(),]", "", str(value)) if isinstance(value, tuple) else str(value)
            assert f"(default: {written})" in text
            assert type(config).__name__ == "Config" or (type(config).__doc__ or "").split("\n")[0] in text

    check(config_of(recipe))


def test_what_cannot_be_certified_is_not_trained(taut, tmp_path) -> None:
    shown = taut("train", "digits", "--activation", "smooth-max-min", "--width", "16", "--out", str(tmp_path / "run"))
    assert shown.code == 2
    assert "could be trained but not certified: module '2' (SmoothMaxMin)" in shown.err
    assert not (tmp_path / "run").exists()


def test_list_shows_recipes_layers_and_activations(taut) -> None:
    from taut import nn
    from taut.recipes import RECIPES

    words = taut("list").out.split()
    named = (nn.linears(), nn.convolutions(), nn.activations(), nn.maps())
    assert set(RECIPES).union(*named) <= set(words)
    content = json.loads(taut("list", "--json").out)
    assert set(content["recipes"]) == set(RECIPES)
    assert all(content["recipes"].values())


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["trian"], "unknown command 'trian'; did you mean train?"),
        (["--frobnicate"], "unknown option '--frobnicate'; known are"),
        (["train", "digit"], "unknown recipe 'digit'; did you mean digits?"),
        (["train", "xyz"], "unknown recipe 'xyz'; known are absolute-value, .*denoise, .*digits, .*wasserstein"),
        (["train", "--lr", "1"], "give a RECIPE before the options"),
        (["train", "digits", "--resume", "x"], "give one of RECIPE, --config FILE and --resume RUN"),
        (["train", "--resume"], "--resume needs a value"),
        (["train", "digits", "--widht", "3"], "unknown option --widht; did you mean --width?"),
        (["train", "digits", "extra"], "unexpected argument 'extra'"),
        (["train", "digits", "--lr", "fast"], "--lr takes a number, got fast"),
        (["train", "digits", "--lr", "1/0"], "--lr takes a number, got 1/0"),
        (["train", "digits", "--radii", "0.1", "one"], "--radii cannot be 0.1 one"),
        (["train", "digits", "--epochs", "1.5"], "--epochs takes a whole number, got 1.5"),
        (["train", "classify", "--decay", "5e-4"], "unknown option --decay; did you mean --weight-decay?"),
        (["train", "digits", "--temperature", "inf"], "temperature must be a positive number, got inf"),
        (["train", "digits", "--radii", "0.1", "0.10000001"], "radii must differ in six digits"),
        (["train", "digits", "--linear", "dense"], "invalid choice 'dense' for argument '--linear'"),
        (["train", "digits", "--lr"], "Missing value for argument '--lr'"),
        (["train", "digits", "--lr", "-1"], "lr must be a positive number, got -1"),
        (["train", "digits", "--width", "0"], "cannot build the network: width must be at least 1, got 0"),
        (["train", "digits", "--width", "255"], "cannot build the network: .*255"),
        (["train", "digits", "--activation", "group-sort", "--group-size", "3"], "cannot build the network: .*3"),
        (["train", "digits", "--batch-size", "5000"], "batch-size 5000 is larger than the training split of 1347"),
        (["train", "digits", "--devices", "0"], "devices must be at least 1, got 0"),
        (["train", "digits", "--radii", "0.1", "-3"], r"radii must be positive numbers, got \(0.1, -3.0\)"),
        (["train", "absent.json"], "cannot read absent.json"),
        (["train", "--config", "absent.json"], "cannot read absent.json"),
        (["train", "--resume", "absent"], "absent is not a run folder"),
        (["evaluate", "absent"], "absent is not a run folder"),
        (["evaluate"], "missing PATH"),
        (["evaluate", "absent", "--samples", "3"], "--samples is an option of --full: give that too"),
        (["attack", "absent", "--eps", "0.1", "0.10000001"], "radii must differ in six digits"),
        (["report", "one", "two", "--out", "."], "--out is the file of the comparison, but . is a folder"),
        (["attack", "absent", "--steps", "many"], "--steps takes INT, got many"),
        (["audit", "absent"], "'absent' is neither a run folder nor MODULE:NAME"),
        (["audit", "absent_module:net"], "cannot import absent_module:net"),
        (["report"], "(?i)run"),
    ],
)
def test_wrong_usage_is_one_sentence_and_exit_code_2(
    taut, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], sentence: str
) -> None:
    import re

    monkeypatch.chdir(tmp_path)
    shown = taut(*arguments)
    assert shown.code == 2
    assert re.search(sentence, shown.err), shown.err
    assert shown.err.startswith("taut: ")
    assert shown.err.count("\n") == 1
    assert shown.out == ""
    assert list(tmp_path.iterdir()) == []


def test_debug_shows_where_an_error_came_from_wherever_it_stands(taut) -> None:
    from taut.errors import UsageError

    for arguments in (["--debug", "train", "digit"], ["train", "digit", "--debug"]):
        with pytest.raises(UsageError):
            taut(*arguments)


def test_missing_data_are_a_failure_that_says_how_to_get_them(taut, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    shown = taut("train", "mnist", "--data-root", "data")
    assert shown.code == 1
    assert "looked for train-images-idx3-ubyte+train-labels-idx1-ubyte+t10k-images-idx3-ubyte+" in shown.err
    assert " in data/mnist, data, data/datasets--ylecun--mnist and their sub-folders " in shown.err
    assert " are at https://" in shown.err
    assert shown.err.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_a_folder_that_is_not_empty_is_not_written_to(taut, tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("mine")
    shown = taut("train", "digits", "--out", tmp_path)
    assert (shown.code, shown.out) == (2, "")
    assert "is not empty" in shown.err
    assert [path.name for path in tmp_path.iterdir()] == ["precious"]
    shown = taut("train", "digits", "--out", tmp_path / "precious")
    assert (shown.code, shown.out) == (2, "")
    assert "is a file" in shown.err
    assert (tmp_path / "precious").read_text() == "mine"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda c: c | {"colour": 1}, "unknown key colour"),
        (
            lambda c: c["config"]["model"].update(widht=3),
            "unknown key config.model.widht; known are architecture, width",
        ),
        (lambda c: c["config"]["optimizer"].update(lr="fast"), "config.optimizer.lr must be float, not 'fast'"),
        (lambda c: c["config"]["optimizer"].update(lr=-1.0), "lr must be a positive number"),
        (lambda c: c.update(seed=8), "seed 8 differs from config.seed 0"),
        (lambda c: c.pop("task"), "key task is missing"),
        (lambda c: c.update(task="poetry"), "unknown task 'poetry'"),
    ],
)
def test_a_config_file_with_a_mistake_is_refused_by_name(
    taut, finished: Path, tmp_path: Path, change, sentence: str
) -> None:
    content = json.loads((finished / "config.json").read_text())
    changed = change(content)
    path = tmp_path / "config.json"
    path.write_text(json.dumps(changed if isinstance(changed, dict) and "config" in changed else content))
    shown = taut("train", path, "--out", tmp_path / "out")
    assert shown.code == 2
    assert sentence in shown.err
    assert not (tmp_path / "out").exists()


def test_the_run_of_another_version_is_refused(taut, finished: Path, tmp_path: Path) -> None:
    import shutil

    other = tmp_path / "other"
    shutil.copytree(finished, other)
    content = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps(content | {"taut": "0.0.1"}))
    for command in (["evaluate", other], ["train", "--resume", other]):
        shown = taut(*command)
        assert shown.code == 2
        assert f"was written by taut 0.0.1, this is {package.__version__}" in shown.err


def test_a_run_folder_in_place_of_a_recipe_is_explained(taut, finished: Path) -> None:
    shown = taut("train", finished)
    assert shown.code == 2
    assert f"--resume {finished}" in shown.err


def test_a_run_folder_that_is_called_as_a_recipe_is_not_in_its_way(taut, tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "digits").mkdir()
    (tmp_path / "digits" / "config.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    shown = taut("train", "digits", "--epochs", "0")
    assert "epochs must be at least 1, got 0" in shown.err


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--out", "."], "--out names a file, and . is a folder"),
        (["--out", "new/samples.npz"], "samples.npz is a file that is written beside it"),
        (["--top-k", "0"], "--top-k must be at least 1, got 0"),
    ],
)
def test_a_certificate_that_cannot_be_meant_is_refused_before_anything_is_written(
    taut, tmp_path, monkeypatch, options: list[str], sentence: str
) -> None:
    monkeypatch.chdir(tmp_path)
    shown = taut("certify", "run", *options)
    assert (shown.code, list(tmp_path.iterdir())) == (2, [])
    assert sentence in shown.err


def test_verifying_a_folder_says_that_it_is_one(taut, tmp_path) -> None:
    shown = taut("verify", tmp_path)
    assert shown.code == 1
    assert f"{tmp_path} is a folder" in shown.err


def test_numbers_can_be_fractions() -> None:
    from taut.cli.parse import parse
    from taut.tasks.classification import Config

    config = parse(Config, ["--radii", "36/255", "1", "--lr", "1/8", "--optimizer", "adam"], prog="taut")
    assert (config.evaluation.radii, config.optimizer.lr) == ((36 / 255, 1.0), 0.125)
