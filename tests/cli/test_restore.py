"""`taut restore` on pictures of a user: what it writes, what it says of theorems, what it refuses."""

import json
import re
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.numpy import load_file
from torch import nn
from torch.nn import functional as F


def conv(scale: float) -> nn.Module:
    """A 3x3 blur around the torus times `scale`, whose l2 constant is `scale`."""
    layer = nn.Conv2d(1, 1, 3, padding=1, padding_mode="circular", bias=False)
    nn.init.constant_(layer.weight, scale / 9)
    return layer


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Instead of a trained run: a blur that is averaged, and beside it one that is twice too steep."""
    from taut.imaging import Denoiser, nonexpansive
    from taut.tasks.restoration import denoisers

    def load(path: Path, *, unconstrained: bool = False) -> Denoiser:
        network = nn.Sequential(conv(4.0)) if unconstrained else nonexpansive(conv(1.0))
        return Denoiser(network, channels=1, sigma=15 / 255, averaging=0.5)

    monkeypatch.setattr(denoisers, "load_denoiser", load)
    (tmp_path / "run").mkdir()
    return tmp_path / "run"


@pytest.fixture
def picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_report: None) -> Path:
    """Colours with transparency, of odd size, in the present folder."""
    from taut.tasks.restoration import run

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(run, "report", lambda folder: folder.path / "report.html")
    y, x = np.mgrid[0:33, 0:47]
    levels = [128 + 100 * np.sin(x / 5 + k) * np.cos(y / 7) for k in range(3)] + [255 - 0 * x]
    levels[3][:4] = 0
    path = tmp_path / "a.png"
    Image.fromarray(np.stack(levels, axis=-1).astype(np.uint8)).save(path)
    return path


def numbers(out: Path) -> dict:
    return json.loads((out / "result.json").read_text())


def test_a_picture_in_colour_is_restored_and_written_as_it_came(taut, runs: Path, picture: Path) -> None:
    shown = taut("restore", picture, "--operator", "blur", "--denoiser", runs, "--steps", "40", "--out", "out")
    assert shown.code == 0, shown.err
    result, rows = numbers(Path("out")), load_file("out/evaluation.safetensors")
    method = result["denoiser"]
    assert result["image"]["shape"] == [3, 33, 47]
    assert "transparency" in shown.out
    assert method["check"]["holds"]
    assert "T is averaged" in shown.out
    assert (method["averaged"], method["residual"]["increases"], method["residual"]["diverged"]) == (0.5, 0, False)
    assert len(rows["denoiser"]) == method["residual"]["steps"] == len(rows["denoiser_psnr"])
    assert rows["denoiser"][-1] == method["residual"]["last"] < rows["denoiser"][0] / 10
    before, after = Image.open(picture), Image.open("out/restored.png")
    assert (after.mode, after.size) == (before.mode, before.size)
    assert np.array_equal(np.asarray(after)[..., 3], np.asarray(before)[..., 3])
    error = np.asarray(after, dtype=float)[..., :3] - np.asarray(before, dtype=float)[..., :3]
    # what was written is rounded to levels: half a level more error at most, on a root mean square of several
    assert 10 * np.log10(255**2 / np.square(error).mean()) == pytest.approx(method["quality"]["psnr"], abs=0.3)
    assert method["quality"]["psnr"] > result["start"]["psnr"] + 0.2
    assert np.array_equal(np.asarray(Image.open("out/original.png")), np.asarray(before))
    assert "finished before" in taut("train", "--resume", "out").out


def test_the_unconstrained_net_fails_beside_and_is_refused_alone(taut, runs: Path, picture: Path) -> None:
    words = ["restore", picture, "--operator", "inpaint", "--denoiser", runs, "--steps", "80"]
    shown = taut(*words, "--beside", "unconstrained", "--out", "out")
    assert shown.code == 0, shown.err
    result = numbers(Path("out"))
    assert result["denoiser"]["residual"]["increases"] == 0
    assert not result["beside"]["check"]["holds"]
    assert result["beside"]["residual"]["increases"] > 10
    assert result["beside"]["residual"]["diverged"]
    assert result["beside"]["quality"] is None
    assert re.search(r"is 2\.50000\d* > 1", shown.out)  # (1 + 4) / 2


@pytest.mark.parametrize(
    ("algorithm", "operator"),
    [("primal-dual", "super-resolution"), ("admm", "mri"), ("douglas-rachford", "tomography")],
)
def test_every_algorithm_restores_what_every_operator_measures(
    taut, runs: Path, picture: Path, algorithm: str, operator: str
) -> None:
    words = ["restore", picture, "--operator", operator, "--algorithm", algorithm, "--crop", "4", "5", "25", "21"]
    words += ["--angles", "12"] if operator == "tomography" else []
    shown = taut(*words, "--denoiser", runs, "--steps", "25", "--out", "out")
    assert shown.code == 0, shown.err
    result = numbers(Path("out"))
    assert result["denoiser"]["check"]["holds"]
    assert result["denoiser"]["residual"]["increases"] == 0
    size = (24, 20) if operator == "super-resolution" else (25, 21)
    assert Image.open("out/restored.png").size == size
    assert Image.open("out/measurement.png").size == ((12, 10) if operator == "super-resolution" else size)
    assert result["denoiser"]["quality"]["psnr"] > 15


def test_replaying_gives_the_same_picture_and_another_seed_another(taut, runs: Path, picture: Path) -> None:
    words = ["--operator", "inpaint", "--keep", "0.6", "--denoiser", runs, "--steps", "3"]
    assert taut("restore", picture, *words, "--out", "first").code == 0
    for more, same in (([], True), (["--seed", "1"], False)):
        shown = taut("restore", "first/config.json", *more, "--out", f"again{same}")
        assert shown.code == 0, shown.err
        files = [Path(folder, name).read_bytes() for folder in ("first", f"again{same}") for name in ("restored.png",)]
        assert (files[0] == files[1]) == same


def test_a_measurement_is_restored_as_it_is(taut, runs: Path, picture: Path) -> None:
    grey = np.asarray(Image.open(picture).convert("L"))
    deep = grey.astype(np.uint16) * 257
    known = (np.arange(grey.size).reshape(grey.shape) % 3 > 0).astype(np.uint8) * 255
    Image.fromarray(np.where(known > 0, deep, 65535).astype(np.uint16)).save("holes.png")
    Image.fromarray(known).save("known.png")
    words = ["--measured", "--operator", "inpaint", "--mask", "known.png", "--denoiser", runs, "--steps", "300"]
    shown = taut("restore", "holes.png", *words, "--out", "out")
    assert shown.code == 0, shown.err
    result, restored = numbers(Path("out")), Image.open("out/restored.png")
    assert (result["start"], result["denoiser"]["quality"], result["measured"]) == (None, None, True)
    assert restored.mode == "I;16"
    assert not Path("out/original.png").exists()
    assert np.abs(np.asarray(restored) / 65535 - grey / 255).mean() < 0.03  # the holes were white
    small = ["--measured", "--operator", "super-resolution", "--factor", "3", "--denoiser", "tv", "--steps", "5"]
    assert taut("restore", picture, *small, "--out", "large").code == 0
    assert Image.open("large/restored.png").size == (141, 99)
    assert Image.open("large/restored.png").mode == "RGBA"
    # theorems are about the exact minimiser, which total variation is not
    assert "computed to a tolerance" in numbers(Path("large"))["denoiser"]["check"]["verdict"]
    assert "tolerance" not in result["denoiser"]["check"]["verdict"]


def test_block_means_and_fillings() -> None:
    from taut.imaging.operators import SuperResolution
    from taut.tasks.restoration.operators import mean_kernel
    from taut.tasks.restoration.problem import back_projection, filled

    for factor in (2, 3, 4):
        x = torch.rand(2, 12 * factor, 12, generator=torch.Generator().manual_seed(factor))
        operator = SuperResolution((2, 12 * factor, 12), mean_kernel(factor), factor=factor)
        torch.testing.assert_close(operator(x), F.avg_pool2d(x, factor), rtol=0, atol=1e-6)
        nearest = operator(x).repeat_interleave(factor, 1).repeat_interleave(factor, 2)
        torch.testing.assert_close(back_projection(operator, operator(x)), nearest, rtol=0, atol=1e-6)
    known = (torch.rand(1, 40, 40, generator=torch.Generator().manual_seed(0)) < 0.3).float()
    found = filled(known * 0.25, known)
    torch.testing.assert_close(found, torch.full_like(found, 0.25), rtol=0, atol=1e-5)


def test_an_interrupted_restoration_leaves_nothing(taut, runs: Path, picture: Path, monkeypatch) -> None:
    from taut.imaging import Denoiser

    calls, forward = [], Denoiser.forward

    def interrupting(self, *arguments):
        calls.append(1)
        if len(calls) == 5:
            signal.raise_signal(signal.SIGINT)
        return forward(self, *arguments)

    monkeypatch.setattr(Denoiser, "forward", interrupting)
    before = sorted(Path().iterdir())
    shown = taut("restore", picture, "--operator", "blur", "--denoiser", runs, "--out", "out")
    assert (shown.code, shown.err) == (130, "taut: interrupted\n")
    assert sorted(Path().iterdir()) == before


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["absent.png"], "there is no picture absent.png"),
        (["a.png", "--denoiser", "absent"], "there is no folder absent"),
        (["a.png", "--step-size", "2.5"], "the step must be below 2 / "),
        (
            ["a.png", "--operator", "tomography", "--algorithm", "admm", "--step-size", "1e4"],
            "ADMM with the denoiser run cannot be carried out: conjugate gradients",
        ),
        (["a.png", "--denoiser-sigma", "90"], "a quarter to four times that, 3.75 to 60, got 90"),
        (["a.png", "--crop", "0", "0", "12", "30"], "at least 16 pixels on each side, got 12x30"),
        (["a.png", "--beside", "./run/"], "--beside must be another denoiser"),
        (["a.png", "--operator", "mri", "--measured"], "that of mri is none"),
        (["a.png", "--operator", "inpaint", "--measured"], "needs --mask FILE"),
        (["a.png", "--measured", "--sigma-noise", "3"], "--measured takes the picture as it is"),
        (["a.png", "--mask", "a.png"], "--mask goes with --operator inpaint"),
        (["a.png", "--kernel", "gauss"], "must be gaussian, uniform, motion or a file, got 'gauss'"),
        (["a.png", "--operator", "inpaint", "--mask", "b.png"], "must be of the size of the picture, 47x33, got 20x30"),
        (["a.png", "--operator", "inpaint", "--keep", "0"], "keep must be in"),
        (["a.png", "--denoiser", "tv", "--beside", "unconstrained"], "--denoiser tv is no run"),
        (["a.png", "--denoiser", "wild"], "nothing proves that this converges: forward-backward: the denoiser must be"),
        (["other.json"], "a configuration of the task gan"),
        (["a.png", "--keep", "0.3"], "--keep goes with --operator inpaint, got --operator blur"),
        (["a.png", "--tv-weight", "0.3"], "--tv-weight is the strength of tv, got --denoiser run"),
        (["a.png", "--image", "b.png"], "give the picture once"),
        (["a.png", "--crop", "1", "2", "3"], "--crop takes INT INT INT INT, got 1 2 3 (see"),
        ([], "missing --image (see taut restore --help)"),
    ],
)
def test_mistakes_are_one_sentence_and_nothing_is_written(
    taut, runs: Path, picture: Path, monkeypatch, words: list[str], sentence: str
) -> None:
    from taut import __version__
    from taut.tasks.restoration import denoisers

    load = denoisers.load_denoiser
    monkeypatch.setattr(denoisers, "load_denoiser", lambda p, **options: load(p, unconstrained=p.name == "wild"))
    Path("wild").mkdir()
    Image.new("L", (20, 30)).save("b.png")
    manifest = {"taut": __version__, "recipe": "gan", "task": "gan", "command": [], "seed": 0, "config": {"seed": 0}}
    Path("other.json").write_text(json.dumps(manifest))
    for option, usual in (("--operator", "blur"), ("--denoiser", "run")):
        words = words if option in words or words == ["other.json"] else [*words, option, usual]
    before = sorted(Path().iterdir())
    shown = taut("restore", *words, "--out", "out")
    assert shown.code in (1, 2)
    assert sentence in shown.err
    assert shown.err.count("\n") == 1
    assert sorted(Path().iterdir()) == before
