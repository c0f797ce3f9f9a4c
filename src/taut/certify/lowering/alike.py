"""Whether a model is one function: of each sample alone, and the same at every call."""

import torch
from torch import nn

from taut.certify.program.operation import Operation
from taut.certify.program.program import Program
from taut.certify.rules.module_rules import kind_of


def same_program(one: Program, other: Program) -> bool:
    """Whether two programs consist of the same operations with the same numbers."""
    return len(one.nodes) == len(other.nodes) and all(
        a.inputs == b.inputs and a.shape == b.shape and _same_operation(a.operation, b.operation)
        for a, b in zip(one.nodes, other.nodes, strict=True)
    )


def _same_operation(one: Operation, other: Operation) -> bool:
    if one is other:
        return True
    tensors, others = one.tensors(), other.tensors()
    same = type(one) is type(other) and one.settings() == other.settings() and tensors.keys() == others.keys()
    return same and all(torch.equal(tensors[name].exact, others[name].exact) for name in tensors)


def refuse_changing_weights(model: nn.Module) -> None:
    """ValueError that names a weight that a parametrization makes anew, and otherwise, at every call.

    Those of taut.nn are functions of their parameters, and are not asked twice.
    """
    for name, module in model.named_modules():
        for weight, chain in getattr(module, "parametrizations", {}).items():
            if all(type(part).__module__.startswith("taut.nn.") for part in chain):
                continue
            first, second = (getattr(module, weight).detach().nan_to_num() for _ in range(2))
            if not torch.equal(first, second):
                where = f"module {name or '(model)'!r} ({kind_of(module)})"
                raise ValueError(
                    f"{where} has another {weight} whenever it is read: call .eval(), or remove what does it"
                )
