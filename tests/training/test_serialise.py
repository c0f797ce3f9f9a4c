"""Configs survive JSON, and what does not belong in one is refused by name."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

import pytest

from taut.errors import UsageError
from taut.training.optimizers import OptimizerConfig
from taut.training.serialise import from_plain, to_plain


@dataclass(frozen=True, kw_only=True)
class Inner:
    rate: float = 0.5
    kind: Literal["a", "b"] = "a"
    pair: tuple[float, float] = (0.0, 1.0)


@dataclass(frozen=True, kw_only=True)
class Outer:
    count: int
    flag: bool = False
    root: Path | None = None
    radii: tuple[float, ...] = (1.0,)
    inner: Inner = field(default_factory=Inner)


def through_json(value: Outer) -> Any:
    return json.loads(json.dumps(to_plain(value)))


@pytest.mark.parametrize(
    "config",
    [
        Outer(count=3),
        Outer(
            count=-1, flag=True, root=Path("a/b"), radii=(0.1, 0.30000000000000004), inner=Inner(rate=1e-300, kind="b")
        ),
    ],
)
def test_a_config_comes_back_equal(config: Outer) -> None:
    assert from_plain(Outer, through_json(config), source="f") == config


def test_keys_of_older_files_are_read_by_their_new_name() -> None:
    @dataclass(frozen=True, kw_only=True)
    class Newer:
        renamed: ClassVar[dict[str, str]] = {"speed": "rate"}
        rate: float = 0.5

    assert from_plain(Newer, {"speed": 2}, source="f") == from_plain(Newer, {"rate": 2}, source="f") == Newer(rate=2.0)
    assert from_plain(OptimizerConfig, {"decay": 0.3}, source="f").schedule_factor == 0.3


def test_absent_keys_take_their_defaults_and_integers_become_floats() -> None:
    found = from_plain(Outer, {"count": 1, "inner": {"rate": 2}}, source="f")
    assert found == Outer(count=1, inner=Inner(rate=2.0))
    assert isinstance(found.inner.rate, float)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ({"count": 1, "cuont": 2}, "f: unknown key config.cuont; known are count, flag, root, radii, inner"),
        ({"count": 1, "inner": {"lr": 2}}, "f: unknown key config.inner.lr; known are rate, kind, pair"),
        ({}, "f: config.count is missing"),
        ({"count": 1.5}, "f: config.count must be int, not 1.5"),
        ({"count": True}, "f: config.count must be int, not True"),
        ({"count": 1, "flag": 0}, "f: config.flag must be bool, not 0"),
        ({"count": 1, "radii": [0.1, "x"]}, "f: config.radii[1] must be float, not 'x'"),
        ({"count": 1, "inner": {"kind": "c"}}, "f: config.inner.kind must be one of 'a', 'b', not 'c'"),
        ({"count": 1, "inner": {"pair": [1.0]}}, "f: config.inner.pair must be tuple, not [1.0]"),
        ({"count": 1, "inner": 3}, "f: config.inner must be an object, not 3"),
        ([], "f: config must be an object, not []"),
    ],
)
def test_what_does_not_belong_is_refused_by_name(content: Any, sentence: str) -> None:
    with pytest.raises(UsageError) as refusal:
        from_plain(Outer, content, source="f")
    assert str(refusal.value) == sentence
