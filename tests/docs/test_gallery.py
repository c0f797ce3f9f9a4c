"""The gallery is small enough for a repository, and shows every picture that it has."""

from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


def test_pictures_are_shown_and_small() -> None:
    pictures = sorted((DOCS / "gallery").glob("*"))
    text = (DOCS / "gallery.md").read_text(encoding="utf-8")
    assert pictures
    assert [path.name for path in pictures if f"](gallery/{path.name})" not in text] == []
    assert [path.name for path in pictures if path.stat().st_size > 300_000] == []
    assert sum(path.stat().st_size for path in pictures) < 1_300_000
