"""Attacks on classifiers: the upper side of the bracket whose lower side is the certificate."""

from taut.attacks.accuracy import AttackResult, attack_accuracy
from taut.attacks.ball import Norm, distance, project
from taut.attacks.pgd import AttackLoss, margins, pgd

__all__ = ["AttackLoss", "AttackResult", "Norm", "attack_accuracy", "distance", "margins", "pgd", "project"]
