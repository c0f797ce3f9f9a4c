r"""What a radius claims, and how large it is: for classes, the k largest classes, a sign.

At every x' with ||x' - x|| <= r the network, in the certified arithmetic, satisfies the claim strictly:

- "class": the logit of the label is larger than every other.
- "top_k": fewer than k other logits reach that of the label. Class j is ahead only beyond its own radius r_j, so that
  the k-th smallest r_j is one.
- "sign": the single output is above the threshold for label 1, below it for label 0.

With m_j the computed margin and `head` bounding how it can be off, r_j = (m_j - err_j) / slope_j, rounded down.
"""

from dataclasses import dataclass
from typing import Literal, get_args

import torch
from jaxtyping import Float, Int
from torch import Tensor

from taut.certify.rounding import inflate
from taut.certify.samples.arithmetic import FLOAT64
from taut.certify.samples.forward import Analysis
from taut.certify.samples.head import Head, Moves, differences, head_of, moves_of, own_norms

Claim = Literal["class", "top_k", "sign"]
_SLIGHTLY_LESS = 1.0 - 2.0**-48


@dataclass(frozen=True, kw_only=True)
class Question:
    """What is asked of every sample."""

    claim: Claim = "class"
    k: int = 1
    threshold: float = 0.0

    def __post_init__(self) -> None:
        if self.claim not in get_args(Claim):
            raise ValueError(f"claim must be one of {', '.join(get_args(Claim))}, got {self.claim!r}")
        if self.k < 1 or (self.claim != "top_k" and self.k != 1):
            raise ValueError(f"k must be >= 1, and 1 but for top_k, got {self.k}")
        if self.claim != "sign" and self.threshold != 0.0:
            raise ValueError(f"only the claim 'sign' has a threshold, got {self.threshold}")
        if not abs(self.threshold) < torch.inf:
            raise ValueError(f"threshold must be finite, got {self.threshold}")


@dataclass(frozen=True, kw_only=True, eq=False)
class Margins:
    """Computed margins of a batch and all that bounds how they move; one column per class, the label's unused."""

    logits: Float[Tensor, "batch classes"]
    margins: Float[Tensor, "batch classes"]
    """m_j, computed; infinity in the label's column."""
    moves: Moves


class Examiner:
    """A network and a question, ready for samples."""

    def __init__(self, analysis: Analysis, question: Question) -> None:
        self.analysis, self.question = analysis, question
        shape = analysis.program.shape(len(analysis.program.nodes))
        if question.claim == "sign":
            if shape not in ((), (1,)):
                raise ValueError(f"the claim 'sign' needs a single output per sample, got shape {shape}")
        elif len(shape) != 1 or shape[0] < 2:
            raise ValueError(f"the model must give logits of shape (batch, classes >= 2), got {('batch', *shape)}")
        elif question.k >= shape[0]:
            raise ValueError(f"k must be below the number of classes {shape[0]}, got {question.k}")
        self.head: Head | None = head_of(analysis.program)
        self._differences: dict[int, Tensor] = {}

    def _weights(self, labels: Tensor) -> Tensor | None:
        """Norms D of the head's rows, those of differences for each label that was met."""
        if self.head is None:
            return None
        if self.question.claim == "sign":
            return own_norms(self.head, self.analysis.norm)[None]
        for label in set(labels.tolist()) - self._differences.keys():
            self._differences[label] = differences(self.head, self.analysis.norm, label)
        return torch.stack([self._differences[label] for label in labels.tolist()])

    @property
    def classes(self) -> int:
        """How many labels there are."""
        shape = self.analysis.program.shape(len(self.analysis.program.nodes))
        return 2 if self.question.claim == "sign" else shape[0]

    def margins(self, x: Float[Tensor, "batch *shape"], labels: Int[Tensor, " batch"]) -> Margins:
        """Evaluate a batch and bound how its margins move."""
        if self.question.claim == "sign":
            return self._sign(x, labels)
        moves = moves_of(self.analysis, self.head, x, self._weights(labels), pairs=True)
        own = moves.logits.gather(1, labels[:, None])
        gaps = (own - moves.logits).scatter(1, labels[:, None], torch.inf)
        return Margins(logits=moves.logits, margins=gaps, moves=moves)

    def _sign(self, x: Tensor, labels: Tensor) -> Margins:
        """The threshold is subtracted in the arithmetic at hand: one rounding, here and there."""
        moves = moves_of(self.analysis, self.head, x, self._weights(labels), pairs=False)
        output = moves.logits.reshape(len(x), 1)
        gap = torch.where(labels[:, None] == 1, output - self.question.threshold, self.question.threshold - output)
        once = FLOAT64.roundoff(1) + self.analysis.arithmetic.roundoff(1)
        errors = inflate(moves.errors + once * abs(self.question.threshold) + FLOAT64.roundoff(1) * gap.abs())
        moved = Moves(logits=output, errors=errors, slopes=moves.slopes, farthest=moves.farthest)
        return Margins(logits=output, margins=gap, moves=moved)

    def predictions(self, found: Margins) -> Int[Tensor, " batch"]:
        """Computed class; for a sign 1 above the threshold, 0 elsewhere."""
        if self.question.claim == "sign":
            return (found.logits[:, 0] > self.question.threshold).to(torch.int64)
        return found.logits.argmax(dim=1)

    def margin(self, found: Margins) -> Float[Tensor, " batch"]:
        """The one that has to be positive: the k-th smallest."""
        return found.margins.kthvalue(self.question.k, dim=1).values

    def radii(self, found: Margins, *, errors: float = 1.0, slack: float = 0.0) -> Float[Tensor, " batch"]:
        """The k-th smallest of (m_j - errors * err_j) / (slope_j (1 + slack)), rounded down; 0 where that is not
        positive or the output is not finite. `errors` >= 1 and `slack` >= 0 only make the radius smaller."""
        moves = found.moves
        room = (found.margins * _SLIGHTLY_LESS - inflate(moves.errors * errors)) * _SLIGHTLY_LESS
        each = room / inflate(moves.slopes * (1.0 + slack)) * _SLIGHTLY_LESS
        each = torch.where(each.isnan(), -torch.inf, each)  # of two infinities; sorting would put it last, behind all
        radius = each.kthvalue(self.question.k, dim=1).values
        good = torch.isfinite(found.logits).all(dim=1) & (radius > 1.0 / self.analysis.arithmetic.largest)
        return torch.where(good, radius.clamp(max=moves.farthest / (1.0 + 2.0**-40 + slack)), 0.0)
