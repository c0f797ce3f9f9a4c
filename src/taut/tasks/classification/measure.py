"""Certified and attacked accuracy of a folded network, and the check that the two do not contradict each other."""

import copy
import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from taut import attacks, certify
from taut import nn as tnn
from taut.attacks import AttackResult
from taut.data import Split
from taut.errors import UserError
from taut.files import write_tensors
from taut.tasks.classification.config import EvaluationConfig
from taut.training.progress import progress
from taut.training.run_folder import RunFolder

_SHARPNESS = 50.0  # exponent of the smooth maxima that attacks follow: differences of 1/50 of the pixels' range count


def certified(
    model: nn.Module, split: Split, *, norm: str, k: int = 1, arithmetic: str = "float64", quiet: bool = False
) -> certify.Certificate:
    """Certificate of every sample of `split`: of its class, or that it is among the `k` largest."""
    with progress("certifying", len(split), show=not quiet) as reporter:
        try:
            return certify.robustness(
                model,
                split.inputs,
                split.labels,
                norm=norm,
                claim="class" if k == 1 else "top_k",
                k=k,
                arithmetic=arithmetic,
                progress=lambda done, _: reporter.advance(done),
            )
        except (TypeError, ValueError) as error:
            raise UserError(f"cannot certify this network: {' '.join(str(error).split())}") from error


@dataclass(frozen=True, kw_only=True)
class Uncertified:
    """What a network without a certificate computes for each sample: fields as those of `taut.certify.Certificate`,
    with nothing proven in them."""

    margin: Tensor
    prediction: Tensor
    label: Tensor
    lipschitz_bound: None = None

    @property
    def radius(self) -> Tensor:
        """0 for each sample: nothing is proven."""
        return torch.zeros(len(self.label), dtype=torch.float64)

    @property
    def accuracy(self) -> float:
        """Fraction of the samples whose computed class is the label."""
        return float((self.prediction == self.label).double().mean())


@torch.no_grad()
def predicted(model: nn.Module, split: Split) -> Uncertified:
    """Class and margin of every sample of `split`, computed in float64."""
    # in float64, as certificates are: what is compared with an attack must be the same network
    double = copy.deepcopy(model).double().eval()
    logits = torch.cat([double(part.double()) for part in split.inputs.split(1000)])
    finite = logits.isfinite().all(dim=1)
    prediction = torch.where(finite, logits.argmax(dim=1), -1)
    return Uncertified(margin=attacks.margins(logits, split.labels), prediction=prediction, label=split.labels)


def assessed(
    model: nn.Module, split: Split, config: EvaluationConfig, *, quiet: bool = False
) -> certify.Certificate | Uncertified:
    """What is proven of `model` on `split`, or, where the configuration says that nothing is to be, computed."""
    return certified(model, split, norm=config.norm, quiet=quiet) if config.certify else predicted(model, split)


def save_certificate(certificate: certify.Certificate, model: nn.Module, split: Split, path: Path) -> list[Path]:
    """Write the certificate, and beside it what it is about: everything that `taut verify` needs."""
    beside = RunFolder(path.parent)
    program = certify.lower(model, tuple(split.inputs.shape[1:]))
    certify.save_program(program, beside.network)
    certify.save_samples(split.inputs, split.labels, beside.samples)
    certificate.save(path)
    return [path, beside.network, beside.samples]


def attacked(
    model: nn.Module,
    split: Split,
    config: EvaluationConfig,
    *,
    seed: int,
    device: torch.device | str,
    quiet: bool = False,
) -> AttackResult:
    """Outcome of attacking the first `config.attack_samples` samples of `split` at every radius."""
    count = min(config.attack_samples, len(split))
    with progress("attacking", count * len(config.radii), show=not quiet) as reporter, attackable():
        return attacks.attack_accuracy(
            quickest(model),
            split.inputs[:count],
            split.labels[:count],
            config.radii,
            norm=config.norm,
            steps=config.attack_steps,
            restarts=config.attack_restarts,
            loss=config.attack_loss,
            seed=seed,
            device=device,
            advance=reporter.advance,
            guide=guide(model),
        )


@contextmanager
def attackable() -> Iterator[None]:
    """Where an attack refuses a network, such as one whose gradients are not finite, say so in a UserError."""
    try:
        yield
    except (ValueError, TypeError) as error:
        raise UserError(f"cannot attack this network: {' '.join(str(error).split())}") from error


_LOSSES: tuple[Literal["cross-entropy", "margin"], ...] = ("cross-entropy", "margin")


def attacked_once(
    model: nn.Module, split: Split, config: EvaluationConfig, *, device: torch.device | str
) -> AttackResult:
    """Outcome of one fast gradient step on the same samples at every radius, judged in float64.

    Two steps are tried, of the cross-entropy, as published, and of the margin: where logits are large the gradient of
    the first is 0, and the network would look robust.
    """
    searched = guide(model).to(device).requires_grad_(False)
    judge = quickest(model).to(device).requires_grad_(False).double()
    count = min(config.attack_samples, len(split))
    example = split.inputs[:count].double().clone()
    broken_at = torch.full((count,), torch.inf, dtype=torch.float64)
    for rows in torch.arange(count).split(500):
        points, labels = split.inputs[rows].to(device), split.labels[rows].to(device)
        tried = [(0.0, _LOSSES[0]), *itertools.product(sorted(config.radii), _LOSSES)]
        for eps, loss in tried:
            found = points
            if eps:
                with attackable():
                    found = attacks.fgsm(searched, points, labels, eps=eps, norm=config.norm, loss=loss)
            with torch.no_grad():
                wrong = (~(attacks.margins(judge(found.double()), labels) > 0)).cpu()
            new = rows[wrong & torch.isinf(broken_at[rows])]
            broken_at[new] = eps
            example[new] = found.double().cpu()[new - rows[0]]
    return AttackResult(broken_at, example)


def guide(plain: nn.Module) -> nn.Module:
    """What attacks of a folded network follow: the network itself, with distances relaxed to smooth maxima.

    The gradient of a distance is that of one input alone; that of the smooth maximum shows which others are as near.
    """
    copied = quickest(plain)
    for module in copied.modules():
        if isinstance(module, tnn.LInfDistLinear):
            module.relaxation = "soft"
            module.relax_(_SHARPNESS)
    return copied


def quickest(plain: nn.Module) -> nn.Module:
    """A copy of a folded network, with layers of distances in the place of their graphs: the same function.

    The graphs hold the differences of a whole batch, and autograd keeps them all; the layers work in blocks.
    """
    known = tnn.recognise(plain)
    if isinstance(known, tnn.LInfDistLinear | tnn.SortLinear):
        return copy.deepcopy(known).eval()
    copied = copy.deepcopy(plain)
    for name, child in copied.named_children():
        setattr(copied, name, quickest(child))
    return copied


def check_consistent(
    certificate: certify.Certificate | Uncertified, attack: AttackResult, split: Split, folder: Path
) -> None:
    """Raise UserError if the attack changed a sample within its certified radius; the sample is saved in `folder`.

    It cannot happen unless a proof, or its implementation, is wrong.
    """
    check_radii(torch.as_tensor(certificate.radius, dtype=torch.float64), attack, split, folder)


def check_radii(radii: Tensor, attack: AttackResult, split: Split, folder: Path) -> None:
    """`check_consistent` for the radii of the samples of `split` in the norm of the attack."""
    radius = radii[: len(attack.broken_at)]
    refuted = torch.nonzero(radius > attack.broken_at).squeeze(1)
    if not len(refuted):
        return
    first = int(refuted[0])
    path = folder / "violation.safetensors"
    write_tensors(
        path,
        {
            "index": torch.tensor(first),
            "input": split.inputs[first],
            "attacked": attack.example[first],
            "label": split.labels[first],
            "certified_radius": radius[first],
            "eps": attack.broken_at[first],
        },
    )
    raise UserError(
        f"certificate refuted: sample {first} is certified up to {float(radius[first]):.6g}, but an attack of size "
        f"{float(attack.broken_at[first]):.6g} changed its class; this is an error in taut, please report it with "
        f"{path} (the first of {len(refuted)} such samples)"
    )
