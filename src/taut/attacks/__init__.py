"""Attacks on classifiers: the upper side of the bracket whose lower side is the certificate."""

from taut.attacks.accuracy import AttackResult, attack_accuracy
from taut.attacks.ball import Norm, distance, project
from taut.attacks.pgd import AttackLoss, margins, pgd
from taut.attacks.rounding import RoundingAttack, rounding_attack

__all__ = [
    "AttackLoss",
    "AttackResult",
    "Norm",
    "RoundingAttack",
    "attack_accuracy",
    "distance",
    "margins",
    "pgd",
    "project",
    "rounding_attack",
]
