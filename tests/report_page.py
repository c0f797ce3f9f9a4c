"""Reading a report as a browser and a person do."""

import re
from html.parser import HTMLParser
from pathlib import Path


class Page(HTMLParser):
    """Values in `<data>` elements, resources that other attributes ask for, and the text that a person reads."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.values: list[float] = []
        self.resources: list[str] = []
        self.opened: list[str] = []
        self.words: list[str] = []
        self.source = path.read_text(encoding="utf-8")
        self.feed(self.source)
        self.text = re.sub(r"[ \n]+", " ", " ".join(self.words))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.opened.append(tag)
        given = {name: value or "" for name, value in attrs}
        if tag == "data":
            self.values.append(float(given["value"]))
        self.resources += [given[name] for name in ("src", "href", "srcset", "action", "data") if name in given]

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def asks_for_nothing(self) -> bool:
        """Whether the file stands alone: every resource is in it, and nothing runs."""
        bare = re.sub(r"base64,[A-Za-z0-9+/=]+", "", self.source)
        outside = re.search(r"https?:|//[a-z]|@import|url\(", bare)
        inside = all(re.match(r"data:image/(png|gif);base64,", resource) for resource in self.resources)
        return not outside and inside and not {"script", "link", "iframe", "object"} & set(self.opened)
