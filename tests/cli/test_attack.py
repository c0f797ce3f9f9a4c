"""`taut attack` with attacks by name: what is written, what is refused, and proof and attack side by side."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder with what `taut attack` reads: a config and the weights of a network that was fitted quickly."""
    from taut import data, nn
    from taut.files import write_tensors
    from taut.tasks.classification import Config, ModelConfig
    from taut.tasks.classification.parts import build_model
    from taut.training.run_folder import create_run
    from taut.training.serialise import to_plain

    config = Config(model=ModelConfig(width=16, depth=1))
    digits = data.load("digits", None)
    torch.manual_seed(0)
    model = build_model(config.model, digits.problem)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.03)
    for _ in range(25):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(8 * model(digits.train.inputs[:400]), digits.train.labels[:400]).backward()
        optimizer.step()
    out = tmp_path_factory.mktemp("runs") / "attacked"
    folder = create_run("digits", task=config.task, out=out, command=["taut"], seed=0, config=to_plain(config))
    write_tensors(folder.folded, nn.fold(model).state_dict())
    return out


def test_an_attack_writes_examples_pictures_and_a_page_that_needs_no_network(taut, finished: Path) -> None:
    options = ["--attack", "fab", "--norm", "linf", "--samples", "12", "--steps", "5", "--eps", "0.02", "0.1"]
    outcome = taut("attack", finished, *options, "--accelerator", "cpu")
    assert outcome.code == 0, outcome.err
    folder = finished / "attacks" / "fab-linf"
    assert {path.name for path in folder.iterdir()} == {
        "result.json", "examples.safetensors", "accuracy.png", "examples.png", "attack.html",
    }  # fmt: skip
    assert all(f"wrote {path}" in outcome.out for path in folder.iterdir())
    assert "http" not in (folder / "attack.html").read_text().replace("http://www.w3.org", "")
    figures, tensors = json.loads((folder / "result.json").read_text()), load_file(folder / "examples.safetensors")
    attack = figures["attack"]
    assert set(figures["attacked"]) == set(attack["certified"]) == {"0.02", "0.1"}
    assert all(figures["attacked"][eps] >= attack["certified"][eps] for eps in figures["attacked"])
    assert "the larger of the radius proven in linf and of the l2 radius / sqrt(entries)" in attack["proof"]
    sizes = (tensors["attacked"] - tensors["input"].double()).flatten(1).abs().amax(dim=1)
    assert torch.equal(sizes, tensors["broken_at"][tensors["index"]])
    assert attack["distances"]["mean"] == pytest.approx(float(sizes.mean()), rel=1e-12)
    assert attack["distances"]["quartiles"][1] == float(sizes.sort().values[(len(sizes) + 1) // 2 - 1])
    assert (tensors["broken_at"] >= tensors["certified_radius"]).all()
    assert (tensors["prediction"] != tensors["label"]).all()


def test_an_attack_below_a_certified_radius_stops_with_the_sample(taut, finished: Path, monkeypatch, tmp_path) -> None:
    from taut.tasks.classification import proven

    monkeypatch.setattr(proven, "implied_radius", lambda radius, norm, entries: radius)
    options = ["--attack", "deepfool", "--norm", "linf", "--samples", "12", "--accelerator", "cpu"]
    outcome = taut("attack", finished, *options)
    violation = finished / "violation.safetensors"
    assert outcome.code == 1
    assert "certificate refuted" in outcome.err
    assert str(violation) in outcome.err
    assert not (finished / "attacks" / "deepfool-linf").exists()
    saved = load_file(violation)
    violation.unlink()
    assert float(saved["eps"]) < float(saved["certified_radius"])


def test_an_l2_radius_implies_one_in_linf_rounded_down() -> None:
    from fractions import Fraction

    from taut.tasks.classification.proven import implied_radius

    radius = torch.rand(200, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    implied = implied_radius(radius, "linf", 64)
    pairs = zip(implied.tolist(), radius.tolist(), strict=True)
    assert all(Fraction(small) ** 2 * 64 <= Fraction(large) ** 2 for small, large in pairs)
    assert torch.allclose(implied, radius / 8, rtol=1e-12)
    assert torch.equal(implied_radius(radius, "l2", 64), radius)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--attack", "cw", "--norm", "linf"], "cw exists for l2 alone"),
        (["--attack", "deepfool", "--restarts", "3"], "deepfool has no restarts to choose, got 3"),
        (["--attack", "square", "--loss", "margin"], "square has no loss to choose, got margin"),
        (["--eps", "0.1", "--radii", "0.2"], "--eps and --radii are the same option"),
        (["--eps", "-0.1"], "radii must be positive numbers"),
        (["--attack", "fab", "--steps", "0"], "steps must be at least 1, got 0"),
        (["--attack", "autoattack"], "autoattack"),
        (["--seed", "-1"], "seed must be in"),
    ],
)
def test_what_an_attack_cannot_do_is_said_in_one_sentence(taut, finished: Path, options, reason) -> None:
    outcome = taut("attack", finished, *options)
    assert outcome.code == 2
    assert reason in outcome.err
    assert outcome.err.count("\n") == 1
