"""Which cases of the contracts run each time; the rest of the cross product has the mark `slow`, for `make test-slow`.

Left out are combinations, never a claim: what only repeats a path of the code that another case of the class takes.
taut is imported late, after jaxtyping's hook.
"""

from typing import Any

import pytest


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if isinstance(item, pytest.Function) and item.cls is not None and _repeats(item):
            item.add_marker(pytest.mark.slow)


def _repeats(item: pytest.Function) -> bool:
    from taut.testing import ActivationContract, ConvContract, LinearContract, MapContract

    cls: Any = item.cls
    name = item.originalname
    given: dict[str, Any] = item.callspec.params if hasattr(item, "callspec") else {}
    if name == "test_exports":  # the same code with other options
        return issubclass(cls, ActivationContract) and cls.__mro__[1].__name__.startswith("Test")
    if name.startswith("test_constraint_holds_") and issubclass(cls, LinearContract):
        return "64" in str(given["dtype"]) and given["size"] not in _wide_and_tall(cls())
    if name == "test_constant_holds_from_any_parameters" and issubclass(cls, MapContract):
        return given["dearest_case"] not in _nasty_cases(cls(), item.path.parent.name)
    if name == "test_constant_holds_at_the_start_and_after_training" and issubclass(cls, ConvContract):
        if "64" in str(given["dtype"]):
            return given["case"] not in _nasty_cases(cls(), "conv")
        return _in_the_plane(cls()) and given["case"][0] in _first_of_many()
    return False


def _wide_and_tall(contract: Any) -> tuple[tuple[int, int], ...]:
    """In float64; float32, where rounding is larger, sees all sizes."""
    return contract.sizes[1:3] if len(contract.sizes) > 3 else contract.sizes


def _nasty_cases(contract: Any, folder: str) -> tuple[Any, ...]:
    """The cases with parameters of every kind; what a composition is made of has contracts of its own."""
    from taut.testing import ConvContract

    cases = contract.dearest_cases()
    if isinstance(contract, ConvContract):
        return cases[-2:] if _in_the_plane(contract) else cases[-1:]
    return cases[:1] if folder == "composition" else (cases[0], cases[-1])


def _in_the_plane(contract: Any) -> bool:
    """Elsewhere a contract tries one construction for each feature, and not several."""
    return contract.dims == 2 and not contract.transposed


def _first_of_many() -> list[dict[str, Any]]:
    """The plainest construction of each feature that two or more others show as well."""
    from taut.testing.convolution import FEATURES

    return [constructions[0] for constructions in FEATURES.values() if len(constructions) > 2]
