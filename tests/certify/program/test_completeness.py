"""Nothing is forgotten: each operation has a case in the tests, and a row in the document with all its settings."""

import importlib
import pkgutil
import re
from dataclasses import fields
from pathlib import Path

import torch

import taut.certify.program
from program_cases import CASES, JOINED
from taut import nn as tnn
from taut.certify import lower
from taut.certify.program.operation import Operation
from taut.verifier.table import FORMATS as VERIFIED

FORMATS = (Path(__file__).parents[3] / "docs" / "file_formats.md").read_text()
INSIDE_BLOCKS = {"divide"}
"""Never a node of its own, and so not in the file."""
BLOCKS = {"residual", "exponential"}
WHOLE = BLOCKS | {"fourier"}
"""With fields that are not in the file."""


def concrete(cls: type[Operation] = Operation) -> set[type[Operation]]:
    """All classes of operations that have a name, in every module of the room."""
    for module in pkgutil.iter_modules(taut.certify.program.__path__, "taut.certify.program."):
        importlib.import_module(module.name)
    below = {found for child in cls.__subclasses__() for found in concrete(child)}
    return below | {cls} if "op" in vars(cls) else below


def rows() -> dict[str, str]:
    """The table of operations: one name, and the row that it is in."""
    table = FORMATS.split("### Operations")[1].split("### Lipschitz constants")[0]
    found = {}
    for line in table.splitlines():
        if line.startswith("| `"):
            for name in re.findall(r"`(\w+)`", line.split("|")[1]):
                found[name] = line
    return found


def test_every_operation_has_a_case() -> None:
    tested = {type(case.operation) for case in CASES} | {type(operation) for operation, *_ in JOINED}
    missing = {cls.op for cls in concrete() - tested}
    assert missing == WHOLE  # test_blocks.py and test_fourier.py have these


def test_names_are_unique() -> None:
    names = [cls.op for cls in concrete()]
    assert len(names) == len(set(names)) > 35


def test_the_document_names_every_operation_and_no_other() -> None:
    assert rows().keys() == {cls.op for cls in concrete()} - INSIDE_BLOCKS


def test_the_verifier_knows_every_operation_and_no_other() -> None:
    assert set(VERIFIED) == {cls.op for cls in concrete()} - INSIDE_BLOCKS | {"input"}


def test_the_document_names_every_setting_and_tensor() -> None:
    for cls in concrete():
        if cls.op in INSIDE_BLOCKS | WHOLE:
            continue
        for field in fields(cls):
            assert f"`{field.name}`" in rows()[cls.op], f"{cls.op}: {field.name}"
    blocks = [lower(tnn.SLLLinear(3, 3), (3,)), lower(tnn.SLLConv2d(2, 2, 3), (2, 3, 3))]
    blocks += [lower(tnn.SOCConv2d(2, 3, 3), (2, 3, 3)), lower(tnn.BROConv2d(2, 3, 3), (2, 3, 3))]
    for program in blocks:
        operation = program.nodes[0].operation
        for name in (*operation.settings(), *operation.tensors()):
            assert f"`{name}`" in rows()[operation.op], f"{operation.op}: {name}"


def test_tensors_are_copies_in_the_dtype_of_the_model() -> None:
    layer = torch.nn.Linear(2, 2).half()
    program = lower(layer, (2,))
    kept = program.nodes[0].operation.tensors()["weight"]
    with torch.no_grad():
        before = layer.weight.clone()
        layer.weight.zero_()
    assert kept.kept.dtype == torch.float16
    assert kept.exact.dtype == torch.float64
    assert torch.equal(kept.kept, before)
    assert torch.equal(kept.exact, before.double())
