"""Every Python block of the documents and every `>>>` example of the docstrings is a test.

Nothing of taut is imported here: jaxtyping's import hook, which checks the shapes in the signatures, must come first.
"""

import os
import tempfile
from doctest import ELLIPSIS
from typing import Any

from sybil import Sybil
from sybil.document import PythonDocStringDocument
from sybil.parsers.markdown import PythonCodeBlockParser
from sybil.parsers.rest import DocTestParser


def enter_empty_folder(namespace: dict[str, Any]) -> None:
    """Examples write their files into a folder of their own."""
    namespace["_home"] = os.getcwd()
    namespace["_folder"] = tempfile.TemporaryDirectory()
    os.chdir(namespace["_folder"].name)


def leave_folder(namespace: dict[str, Any]) -> None:
    """Go back to where the tests were started."""
    os.chdir(namespace["_home"])
    namespace["_folder"].cleanup()


documents = Sybil(parsers=[PythonCodeBlockParser()], patterns=["*.md"], setup=enter_empty_folder, teardown=leave_folder)
docstrings = Sybil(
    parsers=[DocTestParser(optionflags=ELLIPSIS)],
    patterns=[f"src/taut/{'*/' * depth}*.py" for depth in range(4)],  # ** is a single folder before Python 3.13
    document_types={".py": PythonDocStringDocument},
    setup=enter_empty_folder,
    teardown=leave_folder,
)
pytest_collect_file = (documents + docstrings).pytest()
