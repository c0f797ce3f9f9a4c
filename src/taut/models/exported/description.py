"""model.json: what an exported network is, and all that is needed to build it again; docs/file_formats.md has it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any, Final, get_type_hints

from taut.errors import UserError
from taut.models.classifiers import ClassifierOptions

FORMAT, FORMAT_VERSION = "taut model", 1
_HASH_LENGTH = 64
_LARGEST = 1e300  # a whole number of JSON can be larger than any float
_NORMS = ("l2", "linf")


class FileName:
    """The files of an exported network that this room writes and reads."""

    MODEL: Final = "model.json"
    WEIGHTS: Final = "model.safetensors"
    CERTIFICATE: Final = "certificate.json"


@dataclass(frozen=True, kw_only=True)
class Description:
    """The content of model.json: enough to build the network with no data and no other file than its weights."""

    taut: str
    """Version that wrote it."""
    architecture: str
    """A key of `taut.models.classifiers()`."""
    options: ClassifierOptions
    """All of them, so that defaults may change."""
    tanh: bool
    """Whether a hyperbolic tangent follows the logits."""
    input_shape: tuple[int, ...]
    """Of one input."""
    classes: tuple[str, ...]
    """Names; logit i is that of classes[i]."""
    norm: str
    """Of `lipschitz_bound`, and of the certificate."""
    lipschitz_bound: float | None
    """Proven for the whole network; None where nothing is."""
    probe: tuple[float, ...]
    """Logits at the input that `taut.models.exported.probe` makes: by them a network that is built otherwise shows."""
    sha256: dict[str, str]
    """Of the other files of the folder but the card, by their names."""

    def to_json(self) -> dict[str, Any]:
        """What is written: `from_json` is the inverse."""
        content = {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}
        return {"format": FORMAT, "format_version": FORMAT_VERSION, **content}

    @classmethod
    def from_json(cls, content: Mapping[str, Any], *, source: str) -> "Description":
        """Read it. UserError, naming `source`, where it is damaged, unsafe or of a later version."""
        if content.get("format") != FORMAT:
            raise UserError(f"{source} is not the description of a network that taut exported")
        version = content.get("format_version")
        if type(version) is not int or version != FORMAT_VERSION:
            raise UserError(
                f"{source} has format version {version!r}, and this taut reads {FORMAT_VERSION}: it was written by "
                f"taut {content.get('taut')!r}, use that version"
            )
        fields = {name: value for name, value in content.items() if name not in ("format", "format_version")}
        expected = get_type_hints(cls)
        for name in sorted(expected.keys() ^ fields.keys()):
            raise UserError(f"{source} is damaged: {name} is {'missing' if name in expected else 'not known'}")
        for name, (fits, allowed) in _CHECKS.items():
            if not fits(fields[name]):
                raise UserError(f"{source} is damaged: {name} must be {allowed}, not {_short(fields[name])}")
        for name in fields["sha256"]:
            if name in ("", ".", "..") or {PurePosixPath(name).name, PureWindowsPath(name).name} != {name}:
                raise UserError(f"{source} is not to be trusted: it names the file {name!r}, outside of its folder")
        tuples = {name: tuple(fields[name]) for name in ("input_shape", "classes", "probe")}
        return cls(**{**fields, **tuples, "options": _options(fields["options"], source)})


def _options(content: Mapping[str, Any], source: str) -> ClassifierOptions:
    hints = get_type_hints(ClassifierOptions)
    for name, value in content.items():
        if name not in hints:
            raise UserError(f"{source} has the option {name!r}, which this version of taut does not know")
        kinds = {float: (float, int), int | None: (int, type(None))}.get(hints[name], (hints[name],))
        if type(value) not in kinds or (
            isinstance(value, int | float) and not isinstance(value, bool) and not _is_number(value)
        ):
            raise UserError(f"{source} is damaged: option {name} cannot be {_short(value)}")
    return ClassifierOptions(**content)


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) < _LARGEST


def _is_list(value: Any, of: Any, least: int) -> bool:
    return isinstance(value, list) and len(value) >= least and all(map(of, value))


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


_CHECKS: dict[str, tuple[Any, str]] = {
    "taut": (lambda v: isinstance(v, str), "a version"),
    "architecture": (lambda v: isinstance(v, str), "a name"),
    "options": (lambda v: isinstance(v, dict), "an object"),
    "tanh": (lambda v: isinstance(v, bool), "true or false"),
    "input_shape": (lambda v: _is_list(v, lambda n: type(n) is int and n > 0, 1), "a list of positive sizes"),
    "classes": (lambda v: _is_list(v, lambda n: isinstance(n, str), 2), "a list of two names or more"),
    "norm": (lambda v: v in _NORMS, f"one of {', '.join(_NORMS)}"),
    "lipschitz_bound": (lambda v: v is None or (_is_number(v) and v >= 0), "null or a number that is not negative"),
    "probe": (lambda v: _is_list(v, _is_number, 2), "a list of two numbers or more"),
    "sha256": (
        lambda v: isinstance(v, dict) and all(isinstance(h, str) and len(h) == _HASH_LENGTH for h in v.values()),
        "an object of SHA-256 sums in hex",
    ),
}
