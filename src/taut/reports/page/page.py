"""What a task puts on the page of a run; the frame around it is the same for all."""

from dataclasses import dataclass, field
from typing import Any

from taut.reports.folder.provenance import Provenance
from taut.reports.folder.run_folder import RunFolder
from taut.reports.pictures.style import Picture


@dataclass(frozen=True, kw_only=True)
class Page:
    """A template, which extends `page/run.html`, and all that it shows."""

    folder: RunFolder
    template: str
    """Path below this room."""
    provenance: Provenance | None
    """None where the run is not finished."""
    pictures: dict[str, Picture | None]
    """By their place in the template; None where the folder lacks the data."""
    context: dict[str, Any]
    """The other names in the template."""
    counts: dict[str, str] = field(default_factory=dict)
    """Numbers of the task, such as its parameters, for the table of facts."""
