"""Training with penalties and adversaries: what is minimised, in one process and in two, and after an interruption."""

import dataclasses
import signal
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, distributed, multiprocessing, nn

from taut.errors import UsageError

EPS = torch.finfo(torch.float64).eps
WEIGHTS = {
    "j2": {"j2": 0.05},
    "mixed": {"jinf": 0.1, "clean_share": 0.25, "orthogonality": 0.1},
    "means": {"finite_difference": 0.3, "jacobian": 0.2},
    "lip": {"lip": 0.5},
    "pgd": {"pgd": 0.1},
    "trades": {"pgd": 0.1, "trades": 6.0},
    "wgan": {"wgan_gp": 1.0},
}
MEANS = ("j2", "mixed", "means")
"""Those whose terms are means over the batch and draw nothing: two processes do what one does."""
HALVES = [slice(0, 3), slice(3, None)]
"""Of the batch: the penalty of a maximum is that of the maximum of each."""


def network(kind: str = "plain") -> nn.Module:
    torch.manual_seed(0)
    middle = [nn.BatchNorm1d(8)] if kind == "batch norm" else []
    return nn.Sequential(nn.Flatten(), nn.Linear(12, 8), *middle, nn.Tanh(), nn.Linear(8, 3)).double()


def batch(count: int = 6) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(3)
    inputs = 0.2 + 0.6 * torch.rand(count, 1, 3, 4, generator=generator, dtype=torch.float64)
    return inputs, torch.arange(count) % 3


def cross_entropies(logits: Tensor, labels: Tensor) -> Tensor:
    return F.cross_entropy(logits, labels, reduction="none")


def objective(model: nn.Module, options: dict):
    from taut.tasks.classification.regularisation import RegularisationConfig
    from taut.tasks.classification.regularised import RegularisedObjective

    return RegularisedObjective(RegularisationConfig(**options), model, cross_entropies, seed=7)


def gradients_of_each(model: nn.Module, inputs: Tensor, labels: Tensor) -> Tensor:
    """One sample at a time."""
    found = []
    for x, y in zip(inputs, labels, strict=True):
        point = x[None].clone().requires_grad_()
        found.append(torch.autograd.grad(F.cross_entropy(model(point), y[None]), point)[0])
    return torch.cat(found)


def test_adversarial_losses_are_mixed_as_said() -> None:
    model, (inputs, labels) = network(), batch()
    g = gradients_of_each(model, inputs, labels)
    moved = (inputs + 0.05 * g / g.flatten(1).norm(dim=1).view(-1, 1, 1, 1)).clamp(0, 1)
    clean, other = F.cross_entropy(model(inputs), labels).item(), F.cross_entropy(model(moved), labels).item()
    found = objective(model, {"j2": 0.05})(model, (inputs, labels))
    assert found["loss"].item() == pytest.approx(other, rel=1e3 * EPS)
    found = objective(model, {"j2": 0.05, "clean_share": 0.3})(model, (inputs, labels))
    assert found["loss"].item() == pytest.approx(0.3 * clean + 0.7 * other, rel=1e3 * EPS)
    assert found["clean_loss"].item() == pytest.approx(clean, rel=1e3 * EPS)
    assert found["accuracy"].item() == pytest.approx((model(inputs).argmax(1) == labels).double().mean().item())
    assert found["adversarial_accuracy"].item() == pytest.approx(
        (model(moved).argmax(1) == labels).double().mean().item()
    )


def test_penalties_have_their_weights_and_are_logged_without() -> None:
    model, (inputs, labels) = network(), batch()
    clean = F.cross_entropy(model(inputs), labels).item()
    found = objective(model, {"lip": 0.5, "orthogonality": 0.1})(model, (inputs, labels))
    lip = gradients_of_each(model, inputs, labels).flatten(1).norm(dim=1).max().item()
    layers = [layer.weight for layer in model if isinstance(layer, nn.Linear)]
    apart = sum((w @ w.T - torch.eye(len(w), dtype=w.dtype)).square().sum().item() for w in layers)
    assert found["lip"].item() == pytest.approx(lip, rel=1e3 * EPS)
    assert found["orthogonality"].item() == pytest.approx(apart, rel=1e3 * EPS)
    assert found["loss"].item() == pytest.approx(clean + 0.5 * lip + 0.1 * apart, rel=1e3 * EPS)


def test_trades_keeps_the_samples_own_loss_and_climbs_the_divergence() -> None:
    model, (inputs, labels) = network(), batch()
    found = objective(model, {"pgd": 0.2, "trades": 6.0})(model, (inputs, labels))
    clean = F.cross_entropy(model(inputs), labels).item()
    assert found["loss"].item() == pytest.approx(clean + 6 * found["divergence"].item(), rel=1e3 * EPS)
    # a search that climbed the loss of the labels would end elsewhere with others
    others = objective(model, {"pgd": 0.2, "trades": 6.0})(model, (inputs, (labels + 1) % 3))
    assert torch.equal(others["divergence"], found["divergence"])
    noise = 0.2 * (2 * torch.rand(50, *inputs.shape, dtype=torch.float64) - 1)
    p = model(inputs).log_softmax(1)
    random = [(p.exp() * (p - model(inputs + n).log_softmax(1))).sum(1).mean().item() for n in noise]
    assert found["divergence"].item() > max(random)


def test_every_step_and_process_draws_its_own_noise_and_the_same_again() -> None:
    model, data = network(), batch()
    terms = objective(model, {"wgan_gp": 1.0})
    losses = {}
    for step, rank in [(0, 0), (1, 0), (0, 1), (0, 0)]:
        terms.reseed(step, rank)
        value = terms(model, data)["loss"].item()
        assert losses.setdefault((step, rank), value) == value
    assert len(set(losses.values())) == 3


def test_constrained_weights_are_computed_once_and_keep_their_derivative() -> None:
    from taut import nn as tnn

    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), tnn.BjorckLinear(12, 6), nn.Tanh(), nn.Linear(6, 3)).double()
    calls = []
    model[1].parametrizations.weight.register_forward_hook(lambda *_: calls.append(1))
    data = batch()
    terms = objective(model, {"pgd": 0.1, "lip": 0.1})
    terms(model, data)["loss"].backward()
    assert len(calls) == 1
    cached = [parameter.grad.clone() for parameter in model.parameters()]
    model.zero_grad()
    terms.reseed(0, 0)
    with pytest.MonkeyPatch.context() as patch:
        import contextlib

        from taut.tasks.classification import regularised

        patch.setattr(regularised.parametrize, "cached", contextlib.nullcontext)
        terms(model, data)["loss"].backward()
    assert len(calls) > 5
    for one, parameter in zip(cached, model.parameters(), strict=True):
        assert one.any()
        assert torch.allclose(one, parameter.grad, rtol=1e-9, atol=1e-12)


def test_running_statistics_follow_the_networks_own_pass_alone() -> None:
    model, (inputs, labels) = network("batch norm"), batch()
    layer = model[2]
    expected = 0.9 * layer.running_mean + 0.1 * model[1](inputs.flatten(1)).mean(0)
    objective(model, {"lip": 0.1, "finite_difference": 0.1})(model, (inputs, labels))["loss"].backward()
    assert torch.allclose(layer.running_mean, expected, rtol=100 * EPS)
    assert int(layer.num_batches_tracked) == 1


def _train(options: dict, wrap, parts: list[slice], *, rank: int = 0, kind: str = "plain") -> dict[str, Tensor]:
    """The mean of the losses of the parts of the batch is lowered."""
    model = network(kind)
    wrapped = wrap(model)
    terms = objective(model, options)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for step in range(3):
        terms.reseed(step, rank)
        optimizer.zero_grad()
        inputs, labels = batch()
        torch.stack([terms(wrapped, (inputs[part], labels[part]))["loss"] for part in parts]).mean().backward()
        optimizer.step()
    return {name: tensor.detach().clone() for name, tensor in model.named_parameters()}


def _rank(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
    half, wrap = [HALVES[rank]], nn.parallel.DistributedDataParallel
    found = {name: _train(options, wrap, half, rank=rank) for name, options in WEIGHTS.items()}
    both = {"j2": 0.05, "lip": 0.5, "finite_difference": 0.1}
    found["batch norm"] = _train(both, wrap, half, rank=rank, kind="batch norm")
    torch.save(found, Path(folder) / f"{rank}.pt")
    distributed.destroy_process_group()


def test_two_processes_stay_equal_and_do_what_one_does_with_the_whole_batch(tmp_path: Path) -> None:
    # forked processes need not import everything again; autograd with devices cannot be forked
    method = "spawn" if torch.cuda.is_available() else "fork"
    multiprocessing.start_processes(_rank, args=(str(tmp_path),), nprocs=2, start_method=method)
    first, second = (torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(2))
    assert set(first) == {*WEIGHTS, "batch norm"}
    start = dict(network().named_parameters())
    for name, weights in first.items():
        for key, value in weights.items():
            assert torch.equal(value, second[name][key]), f"{name}: {key} differs between the processes"
    for name, parts in {**{mean: [slice(None)] for mean in MEANS}, "lip": HALVES}.items():
        alone = _train(WEIGHTS[name], lambda module: module, parts)
        for key, value in alone.items():
            assert torch.allclose(value, first[name][key], rtol=0, atol=1e6 * EPS), f"{name}: {key}"
            assert not torch.allclose(value, start[key], rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"lip": -1.0}, "lip must be a number that is not negative, got -1"),
        ({"finite_difference_step": 0.0}, "finite-difference-step must be positive, got 0"),
        ({"jacobian_steps": 0}, "jacobian-steps must be at least 1, got 0"),
        ({"j1": 0.1, "pgd": 0.1}, "give one of j1, j2, jinf and pgd, got j1 and pgd"),
        ({"trades": 6.0}, "trades needs the radius of its search"),
        ({"clean_share": 0.5}, "clean-share is for adversarial training"),
        ({"j1": 0.1, "clean_share": 1.0}, r"clean-share must be in \[0, 1\), got 1"),
        ({"pgd": float("nan")}, "pgd must be a number that is not negative, got nan"),
    ],
)
def test_configs_refuse_what_cannot_be_meant(options: dict, reason: str) -> None:
    from taut.tasks.classification.regularisation import RegularisationConfig

    with pytest.raises(UsageError, match=reason):
        RegularisationConfig(**options)


@pytest.mark.parametrize(
    ("model", "options", "reason"),
    [
        ({"linear": "linf-dist", "head": "linf-dist"}, {"lip": 0.1}, "cannot be differentiated twice"),
        ({"linear": "linear", "head": "linear"}, {"certificate": 0.5}, "certificate is for networks whose layers"),
    ],
)
def test_terms_that_are_not_for_a_network_are_refused_before_the_run(model: dict, options: dict, reason: str) -> None:
    from taut import data
    from taut.tasks.classification import Config, ModelConfig
    from taut.tasks.classification.parts import build_model
    from taut.tasks.classification.regularisation import RegularisationConfig
    from taut.tasks.classification.regularised import check_regularisation

    config = Config(model=ModelConfig(width=8, depth=1, **model), regularisation=RegularisationConfig(**options))
    problem = data.problem("digits")
    network = build_model(config.model, problem)
    before = torch.get_rng_state()
    with pytest.raises(UsageError, match=reason):
        check_regularisation(config, network, problem)
    check_regularisation(dataclasses.replace(config, regularisation=RegularisationConfig(pgd=0.1)), network, problem)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("model", "norm", "fits"),
    [
        ({}, "l2", True),
        ({}, "linf", False),
        ({"linear": "linf", "head": "linf"}, "linf", True),
        ({"linear": "linf", "head": "unit-norm", "inputs": "standardised", "lipschitz": 3.0}, "linf", True),
        ({"linear": "linf", "head": "linf"}, "l2", False),
        (
            {"architecture": "liresnet", "convolution": "bro", "channels": 4, "blocks": 1, "linear": "bro"},
            "linf",
            False,
        ),
    ],
)
def test_radii_in_another_norm_than_that_of_the_layers_are_refused(model: dict, norm: str, fits: bool) -> None:
    from taut import data
    from taut.tasks.classification import Config, EvaluationConfig, LossConfig, ModelConfig
    from taut.tasks.classification.parts import build_model, set_inputs_
    from taut.tasks.classification.regularised import check_regularisation

    digits = data.load("digits")
    config = Config(
        model=ModelConfig(width=8, depth=2, **model),
        loss=LossConfig(worst_case="emma"),
        evaluation=EvaluationConfig(norm=norm),
    )
    network = build_model(config.model, digits.problem)
    set_inputs_(network, digits.train)
    expected = nullcontext() if fits else pytest.raises(UsageError, match=f"the norm of the radii, {norm}")
    with expected:
        check_regularisation(config, network, digits.problem)


def test_old_configs_have_no_regularisation() -> None:
    from taut.tasks.classification import Config
    from taut.training.serialise import from_plain, to_plain

    old = to_plain(Config())
    del old["regularisation"]
    assert from_plain(Config, old, source="f") == Config()
    assert not Config().regularisation.active


@pytest.mark.parametrize(("norm", "power"), [("linf", torch.inf), ("l2", 2)])
def test_ascent_stays_in_ball_and_box_and_climbs(norm: str, power: float) -> None:
    from taut.training.ascent import ascend

    x = torch.rand(20, 5, generator=torch.Generator().manual_seed(0))
    slope = torch.randn(5, generator=torch.Generator().manual_seed(1))
    height = lambda p: (p * slope).sum(1)  # noqa: E731
    found = ascend(x, height, eps=0.2, norm=norm, steps=20, generator=torch.Generator().manual_seed(2))
    assert (torch.linalg.vector_norm(found.double() - x.double(), ord=power, dim=1) <= 0.2).all()
    assert found.min() >= 0
    assert found.max() <= 1
    if norm == "linf":
        best = (x + 0.2 * slope.sign()).clamp(0, 1)
        assert torch.allclose(found, best, atol=1e-5)
    assert (height(found) > height(x)).all()
    with pytest.raises(ValueError, match="norm must be one of linf, l2, got 'l1'"):
        ascend(x, height, eps=0.2, norm="l1")
    with pytest.raises(ValueError, match="must be positive and finite, got 0.0"):
        ascend(x, height, eps=0.0)


def test_an_interrupted_run_ends_with_the_same_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from taut.cli import main
    from taut.tasks.classification import run
    from taut.training import supervised

    monkeypatch.setattr(run, "report", lambda folder: folder.path / "report.html")
    command = [
        "train",
        "digits",
        "--pgd",
        "0.1",
        "--pgd-steps",
        "2",
        "--wgan-gp",
        "0.1",
        "--width",
        "8",
        "--depth",
        "1",
    ]
    command += ["--epochs", "1", "--attack-samples", "0", "--accelerator", "cpu", "--log-every", "4", "--no-certify"]
    calls = []

    def interrupting(model: nn.Module) -> None:
        calls.append(model)
        if len(calls) == 7:
            signal.raise_signal(signal.SIGINT)

    assert main([*command, "--out", str(tmp_path / "whole")]) == 0
    with monkeypatch.context() as patch:
        patch.setattr(supervised, "project_", interrupting)
        assert main([*command, "--out", str(tmp_path / "cut")]) == 130
    assert main(["train", "--resume", str(tmp_path / "cut")]) == 0
    assert (tmp_path / "cut/model.safetensors").read_bytes() == (tmp_path / "whole/model.safetensors").read_bytes()
    lines = (tmp_path / "whole/metrics.jsonl").read_text()
    assert '"adversarial_accuracy"' in lines
    assert '"wgan_gp"' in lines
