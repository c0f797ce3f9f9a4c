"""Objects that a person names as MODULE:NAME or FILE.py:NAME."""

import difflib
import importlib
import importlib.util
import os
import sys
from pathlib import Path
from typing import Any

from taut.errors import UsageError


def import_object(name: str) -> Any:
    """The object called MODULE:NAME or FILE.py:NAME, where NAME may have dots. The module's own code runs.

    Raises UsageError, one sentence, for a name of another form and for whatever goes wrong in the import.

    Example:
        >>> import_object("math:pi")
        3.141592653589793
    """
    where, colon, attribute = name.rpartition(":")
    if not colon or not where or not attribute:
        raise UsageError(f"{name!r} is not MODULE:NAME")
    try:
        found = _module(where)
    except (Exception, SystemExit) as error:  # the module's own code
        raise UsageError(f"cannot import {name}: {one_line(error)}") from error
    holder = where
    for part in attribute.split("."):
        found = _attribute(found, part, holder, name)
        holder = part
    return found


def one_line(error: BaseException) -> str:
    """What an exception says, in one line; its type when it says nothing."""
    return " ".join(str(error).split()) or type(error).__name__


def nearest(name: str, known: list[str]) -> str:
    """The words " (did you mean 'NAME'?)" where one of `known` is close to `name`, and nothing where none is.

    Example:
        >>> nearest("cubes", ["gaussian", "cube"])
        " (did you mean 'cube'?)"
    """
    close = difflib.get_close_matches(name, known, n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def _attribute(owner: Any, part: str, holder: str, name: str) -> Any:
    try:
        return getattr(owner, part)
    except AttributeError as error:
        public = [known for known in dir(owner) if not known.startswith("_")]
        raise UsageError(f"cannot import {name}: {holder} has no {part!r}{nearest(part, public)}") from error
    except Exception as error:  # a property, or a module's own __getattr__
        raise UsageError(f"cannot import {name}: {one_line(error)}") from error


def _module(where: str) -> Any:
    """An importable module, or the Python file of this name; its folder is looked at for what it imports."""
    path = Path(where)
    if path.suffix != ".py":
        _look_in(os.getcwd())
        return importlib.import_module(where)
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {where}")
    _look_in(str(path.parent.resolve()))
    name = f"file_{path.stem}"  # a file may have the name of a module that is in use
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look there
    spec.loader.exec_module(module)
    return module


def _look_in(folder: str) -> None:
    if sys.path[:1] != [folder]:
        sys.path.insert(0, folder)
