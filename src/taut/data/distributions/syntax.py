"""The syntax in which the command line names a distribution: calls of literals, files, data sets, Python objects."""

import ast
import inspect
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from taut.data.arrays import ARRAY_SUFFIXES
from taut.data.distributions.checkerboard import Checkerboard
from taut.data.distributions.cube import UniformCube
from taut.data.distributions.curves import circles, moons, spirals
from taut.data.distributions.distribution import Distribution
from taut.data.distributions.empirical import from_file, named
from taut.data.distributions.function import imported
from taut.data.distributions.gaussian import Gaussian
from taut.data.distributions.mixture import Mixture
from taut.data.distributions.numbers import shown
from taut.data.distributions.pinwheel import Pinwheel, ring
from taut.data.distributions.points import Points
from taut.data.distributions.shells import Shells
from taut.errors import UsageError
from taut.importing import nearest

LAWS: dict[str, Callable[..., Distribution]] = {
    "points": Points,
    "shells": Shells,
    "gaussian": Gaussian,
    "mixture": Mixture,
    "cube": UniformCube,
    "moons": moons,
    "circles": circles,
    "ring": ring,
    "spirals": spirals,
    "checkerboard": Checkerboard,
    "pinwheel": Pinwheel,
}
"""The names that are called with numbers in `parse`."""

_LONGEST = 10**6
"""Most entries that a list is repeated to."""

_FILE = re.compile(rf"(?P<path>.*(?:{'|'.join(map(re.escape, ARRAY_SUFFIXES))}))(?::(?P<key>.+))?")
_OBJECT = re.compile(r"[^()\[\]{}'\"\n\r]+:[^\W\d][\w.]*")


def parse(text: str, data_root: Path | None = None) -> Distribution:
    """The distribution that `text` names. Nothing in it is evaluated: arguments are numbers, lists and strings alone.

    Known are points([[0.0]]), shells([[0, 0]], radius=1), gaussian([0, 0], std=1), cube(low=[0, 0], high=[1, 1]),
    mixture([gaussian(0), cube(0, 1)], weights=[1, 2]), and in the plane moons(noise=0.05), circles([1, 2], noise=0.05),
    ring(8, radius=2, std=0.2), spirals(2), checkerboard(4), pinwheel(5); named data sets, as mnist or
    mnist(split='test'), read from `data_root`; files of samples, as x.npy or x.npz:NAME; and Python objects, as
    MODULE:NAME or FILE.py:NAME.

    Raises:
        UsageError: Text that cannot be read, unknown names, arguments that are not allowed.
        UserError: Files that are missing or damaged, a sampler that fails.

    Example:
        >>> parse("mixture([gaussian([0, 0], std=2), cube([0, 0], [1, 1])], weights=[3, 1])").shape
        (2,)
        >>> parse("digits(split='test')").size
        450
    """
    text = text.strip()
    simple = _simple(text)
    if simple is not None:
        return simple
    readable = _with_identifiers(text)
    try:
        with warnings.catch_warnings(action="ignore"):  # of odd literals
            tree = ast.parse(readable, mode="eval")
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        raise UsageError(_pointed(text, error)) from error
    made = _Reader(text, readable, data_root).value(tree.body)
    if not isinstance(made, Distribution):
        raise UsageError(_unknown(text))
    return made


def _simple(text: str) -> Distribution | None:
    """A file, or a Python object; None for anything else."""
    file = _FILE.fullmatch(text)
    if file and ("(" not in text or Path(file["path"]).is_file()):
        return from_file(Path(file["path"]), key=file["key"])
    return imported(text) if _OBJECT.fullmatch(text) else None


class _Reader:
    """From the syntax tree of `text` to a distribution."""

    def __init__(self, text: str, readable: str, data_root: Path | None) -> None:
        self.text = text
        self.readable = readable
        self.data_root = data_root

    def value(self, node: ast.expr) -> Any:
        """What stands at `node`: a distribution, a number, a string, a list, None."""
        match node:
            case ast.Constant(value=bool() | int() | float() | None as constant):
                return constant
            case ast.Constant(value=str() as name):
                return self.string(name)
            case ast.UnaryOp(op=ast.USub() | ast.UAdd() as sign, operand=ast.Constant(value=int() | float() as number)):
                return -number if isinstance(sign, ast.USub) else number
            case ast.List(elts=parts) | ast.Tuple(elts=parts):
                return [self.value(part) for part in parts]
            case ast.BinOp(left=ast.List() as repeated, op=ast.Mult(), right=ast.Constant(value=int() as times)):
                return self.repeated(repeated, times, node)
            case ast.Name(id=name):
                return self.call(name, [], {}, node, called=False)
            case ast.Call(func=ast.Name(id=name)) if all(keyword.arg for keyword in node.keywords):
                return self.call(name, [self.value(part) for part in node.args], self.options(node), node, called=True)
        where = self.at(node)
        if where == self.text:
            raise UsageError(_unknown(self.text))
        raise UsageError(
            f"cannot read {where!r} in {shown(self.text)}: only numbers, lists, strings and laws may stand there"
        )

    def repeated(self, node: ast.List, times: int, whole: ast.expr) -> list[Any]:
        """A list several times over, as [0.0] * 128."""
        parts = self.value(node)
        if isinstance(times, bool) or not 0 < times * len(parts) <= _LONGEST:
            raise UsageError(f"{shown(self.at(whole))} must have between 1 and {_LONGEST} entries")
        return parts * times

    def options(self, node: ast.Call) -> dict[str, Any]:
        """The arguments of a call that are given by name."""
        found: dict[str, Any] = {}
        for keyword in node.keywords:
            if keyword.arg in found:
                raise UsageError(f"{keyword.arg} is given twice in {shown(self.at(node))}")
            found[str(keyword.arg)] = self.value(keyword.value)
        return found

    def string(self, name: str) -> Any:
        """In quotes: a file, a Python object, a data set; or just a string, as of split='test'."""
        found = _simple(name)
        if found is None and name in _data_sets():
            found = named(name, self.data_root)
        return name if found is None else found

    def call(
        self, name: str, arguments: list[Any], options: dict[str, Any], node: ast.expr, *, called: bool
    ) -> Distribution:
        if name in LAWS:
            if not called:
                raise UsageError(f"{name} needs its numbers: {_form(name, LAWS[name])}")
            return self.made(name, LAWS[name], arguments, options, node)
        data_set = {known.replace("-", "_"): known for known in _data_sets()}.get(name)
        if data_set is None:
            raise UsageError(f"unknown distribution {name!r}{nearest(name, [*LAWS, *_data_sets()])}; {_known()}")

        def data(*, split: Any = None) -> Distribution:
            return named(data_set, self.data_root, split=split)

        return self.made(data_set, data, arguments, options, node)

    def made(
        self,
        name: str,
        make: Callable[..., Distribution],
        arguments: list[Any],
        options: dict[str, Any],
        node: ast.expr,
    ) -> Distribution:
        signature = inspect.signature(make)
        for option in options:
            if option not in signature.parameters:
                close = nearest(option, list(signature.parameters))
                raise UsageError(f"{name} has no {option!r}{close}; the form is {_form(name, make)}")
        try:
            bound = signature.bind(*arguments, **options)
        except TypeError as error:
            raise UsageError(f"cannot read {self.at(node)!r}: {error}; the form is {_form(name, make)}") from error
        try:
            return make(*bound.args, **bound.kwargs)
        except (ValueError, TypeError) as error:
            raise UsageError(f"in {shown(self.at(node))}: {error}") from error

    def at(self, node: ast.expr) -> str:
        """The words of `text` at `node`."""
        lines, found = self.readable.split("\n"), ast.get_source_segment(self.readable, node) or self.readable
        if "\n" in found or len(lines) > 1:
            return " ".join(found.split())
        start = len(lines[0].encode()[: node.col_offset].decode())
        return self.text[start : start + len(found)]


def _data_sets() -> tuple[str, ...]:
    from taut.data import names  # taut.data exports what is here

    return names()


def _with_identifiers(text: str) -> str:
    """`text` with names of data sets, outside of quotes, as Python has names: fashion-mnist as fashion_mnist."""
    hyphenated = [name for name in _data_sets() if "-" in name]
    pattern = re.compile(r"'[^']*'|\"[^\"]*\"|(?<![\w-])(?:" + "|".join(map(re.escape, hyphenated)) + r")(?![\w-])")
    return pattern.sub(lambda found: found[0] if found[0][0] in "'\"" else found[0].replace("-", "_"), text)


def _pointed(text: str, error: Exception) -> str:
    """The sentence for text that is no Python literal, with the place where it goes wrong."""
    if not isinstance(error, SyntaxError) or not text:
        return _unknown(text)
    place = (error.offset or 1) - 1
    if error.lineno != 1 or place >= len(text):
        return f"cannot read {shown(text)}: {error.msg}"
    return f"cannot read {shown(text)}: {error.msg}, at character {place + 1}, {text[place : place + 10]!r}"


def _form(name: str, make: Callable[..., Distribution]) -> str:
    """How a law is written, as shells(centres, radius=, empty_dimensions=, image=)."""
    parameters = inspect.signature(make).parameters.values()
    words = [f"{each.name}=" if each.kind is inspect.Parameter.KEYWORD_ONLY else each.name for each in parameters]
    return f"{name}({', '.join(words)})"


def _unknown(text: str) -> str:
    return f"{shown(text)} is no distribution{nearest(text, [*LAWS, *_data_sets()])}; {_known()}"


def _known() -> str:
    return (
        f"known are {', '.join(LAWS)}, the data sets {', '.join(_data_sets())}, files that end in "
        f"{', '.join(ARRAY_SUFFIXES)}, and MODULE:NAME"
    )
