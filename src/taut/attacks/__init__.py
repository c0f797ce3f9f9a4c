"""Attacks on classifiers: the upper side of the bracket whose lower side is the certificate."""

from taut.attacks.accuracy import AttackResult, attack_accuracy
from taut.attacks.apgd import apgd
from taut.attacks.ball import Norm, distance, project
from taut.attacks.fab import fab
from taut.attacks.fgsm import fgsm
from taut.attacks.gradients import margins
from taut.attacks.methods import ATTACKS, METHODS, AttackName, Settings, settings
from taut.attacks.pgd import AttackLoss, pgd
from taut.attacks.rounding import RoundingAttack, rounding_attack
from taut.attacks.run import AttackOutcome, run_attack
from taut.attacks.square import square

__all__ = [
    "ATTACKS",
    "METHODS",
    "AttackLoss",
    "AttackName",
    "AttackOutcome",
    "AttackResult",
    "Norm",
    "RoundingAttack",
    "Settings",
    "apgd",
    "attack_accuracy",
    "distance",
    "fab",
    "fgsm",
    "margins",
    "pgd",
    "project",
    "rounding_attack",
    "run_attack",
    "settings",
    "square",
]
