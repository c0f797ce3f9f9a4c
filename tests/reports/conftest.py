"""What the tests of all pages share."""

import importlib
import pkgutil

import pytest


@pytest.fixture
def sketched(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plan the plots without drawing them, for tests that look at the words only."""
    import taut.reports
    from taut.reports.pictures.style import Picture

    def sketch(name: str, alt: str, draw: object) -> Picture:
        return Picture(name=name, light=b"", dark=b"", width=960, alt=alt)

    for found in pkgutil.walk_packages(taut.reports.__path__, "taut.reports."):
        module = importlib.import_module(found.name)
        if hasattr(module, "picture") and not found.name.endswith(".style"):
            monkeypatch.setattr(module, "picture", sketch)
