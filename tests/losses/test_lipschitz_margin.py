"""Worst-case logits, EMMA, logit annealing and HKR of several classes against their formulas, one entry at a time."""

import math

import pytest
import torch
import torch.nn.functional as F

from taut import losses
from taut.losses import emma_logits, logit_annealing_loss, multiclass_hkr_loss, pair_constants, worst_case_logits

LOGITS = 2 * torch.randn(12, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(12) % 4
HEAD = torch.randn(4, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(("norm", "dual"), [("l2", 2), ("linf", 1)])
def test_constants_are_dual_norms_of_differences_of_rows(norm: str, dual: int) -> None:
    found = pair_constants(4, HEAD, lipschitz=3.0, norm=norm)
    expected = [[3 * torch.linalg.vector_norm(a - b, dual).item() for b in HEAD] for a in HEAD]
    assert torch.allclose(found, torch.tensor(expected, dtype=torch.float64), rtol=1e-12)
    joint = pair_constants(3, lipschitz=3.0, norm=norm)
    assert joint[0].tolist() == pytest.approx([0.0, *[3 * (math.sqrt(2) if dual == 2 else 2)] * 2])


def test_worst_case_logits_say_what_is_certified() -> None:
    constants, eps = pair_constants(4, HEAD), 0.3
    moved = worst_case_logits(LOGITS, LABELS, constants, eps=eps)
    for i, y in enumerate(LABELS.tolist()):
        for j in range(4):
            expected = LOGITS[i, j] - LOGITS[i, y] + eps * torch.linalg.vector_norm(HEAD[j] - HEAD[y])
            assert float(moved[i, j]) == pytest.approx(float(expected), abs=1e-12)
    # a linear network: the worst point within eps against class j
    for i, y in enumerate(LABELS.tolist()):
        for j in {0, 1, 2, 3} - {y}:
            away = F.normalize(HEAD[j] - HEAD[y], dim=0)
            reached = LOGITS[i] + eps * HEAD @ away
            assert float(reached[j] - reached[y]) == pytest.approx(float(moved[i, j]), abs=1e-12)


def test_emma_moves_each_class_no_farther_than_to_the_label_and_no_farther_than_eps() -> None:
    constants, eps = pair_constants(4, HEAD), 0.3
    moved = emma_logits(LOGITS, LABELS, constants, eps=eps)
    shares = set()
    for i, y in enumerate(LABELS.tolist()):
        for j in range(4):
            behind, reach = float(LOGITS[i, y] - LOGITS[i, j]), eps * float(constants[y, j])
            share = min(max(behind / reach, 0.01), 1.0) if j != y else 0.0
            shares.add("none" if share == 0.01 else "all" if share == 1 else "part")
            assert float(moved[i, j]) == pytest.approx(-behind + share * reach, abs=1e-12)
    assert shares == {"none", "all", "part"}
    logits = LOGITS.clone().requires_grad_()
    head = HEAD.clone().requires_grad_()
    emma_logits(logits, LABELS, pair_constants(4, head), eps=eps).sum().backward()
    own = F.one_hot(LABELS, 4).double()
    assert torch.allclose(logits.grad, 1 - 4 * own), "the share has no gradient"
    assert float(head.grad.abs().sum()) > 0, "the head has"


def test_logit_annealing_lets_go_of_what_is_right() -> None:
    t, o, b = 0.6, 1.5, 3.0
    each = logit_annealing_loss(LOGITS, LABELS, temperature=t, offset=o, exponent=b, reduction="none")
    for i, y in enumerate(LABELS.tolist()):
        z = LOGITS[i].clone()
        z[y] -= o
        p = torch.softmax(z / t, 0)[y]
        assert float(each[i]) == pytest.approx(float(t * (1 - p) ** b * -p.log()), rel=1e-9)
    assert float(logit_annealing_loss(LOGITS, LABELS, temperature=t, offset=o, exponent=b)) == pytest.approx(
        float(each.mean())
    )
    plain = losses.temperature_offset_cross_entropy(LOGITS, LABELS, temperature=t, offset=o)
    assert float(logit_annealing_loss(LOGITS, LABELS, temperature=t, offset=o, exponent=0.0)) == pytest.approx(
        float(plain)
    )
    far = torch.tensor([[50.0, 0.0]], requires_grad=True)
    logit_annealing_loss(far, torch.tensor([0])).backward()
    assert bool(torch.isfinite(far.grad).all())


def test_hkr_of_several_classes_is_one_against_all() -> None:
    alpha, margin = 0.7, 1.2
    found = multiclass_hkr_loss(LOGITS, LABELS, alpha=alpha, margin=margin)
    hinge = kr = 0.0
    for c in range(4):
        own = c == LABELS
        for z, mine in zip(LOGITS[:, c].tolist(), own.tolist(), strict=True):
            hinge += 3 * max(0.0, margin - z) if mine else max(0.0, margin + z)
        kr += float(losses.kr_loss(LOGITS[:, c], own)) / 4
    assert float(found) == pytest.approx(alpha * hinge / (4 * 12) + (1 - alpha) * kr, rel=1e-12)
    absent = multiclass_hkr_loss(LOGITS[:2], torch.tensor([0, 1]), alpha=0.0)
    expected = sum(float(losses.kr_loss(LOGITS[:2, c], torch.tensor([c == 0, c == 1]))) / 2 for c in (0, 1))
    assert float(absent) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (lambda: pair_constants(3, HEAD), "a row for each of 3 classes, got 4"),
        (lambda: pair_constants(3, lipschitz=0.0), "lipschitz must be a positive finite number, got 0.0"),
        (lambda: pair_constants(3, norm="l1"), "norm must be one of l2, linf, got 'l1'"),
        (lambda: worst_case_logits(LOGITS, LABELS, pair_constants(4), eps=0.0), "eps must be a positive"),
        (lambda: emma_logits(LOGITS, LABELS, pair_constants(4), eps=math.inf), "eps must be a positive"),
        (lambda: logit_annealing_loss(LOGITS, LABELS, exponent=-1.0), "exponent must be 0, or at least 1, got -1.0"),
        (lambda: logit_annealing_loss(LOGITS, LABELS, exponent=0.5), "exponent must be 0, or at least 1, got 0.5"),
        (lambda: multiclass_hkr_loss(LOGITS, LABELS, alpha=1.5), r"alpha must be in \[0, 1\], got 1.5"),
        (lambda: multiclass_hkr_loss(LOGITS, LABELS, alpha=0.5, margin=0.0), "margin must be > 0, got 0.0"),
    ],
)
def test_values_without_a_meaning_are_refused(wrong, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        wrong()
