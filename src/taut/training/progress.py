"""Progress in the terminal: a bar with rate and time left, or, where the output is not a terminal, a line now and
then."""

import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

_SECONDS_BETWEEN_LINES = 5.0


class Reporter(ABC):
    """What a long computation tells the user as it goes."""

    @abstractmethod
    def advance(self, done: int) -> None:
        """`done` steps of the total are finished."""

    @abstractmethod
    def note(self, text: str) -> None:
        """The latest figures, shown beside a bar."""

    @abstractmethod
    def line(self, text: str) -> None:
        """Figures worth a line of their own where there is no bar."""


class _RateColumn(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:,.1f}/s" if task.speed else "", style="cyan")


class _Bar(Reporter):
    def __init__(self, progress: Progress, title: str, total: int, start: int) -> None:
        self._progress = progress
        self._task = progress.add_task(title, total=total, completed=start, note="")
        self._shown = 0.0

    def advance(self, done: int) -> None:
        now = time.monotonic()
        if now - self._shown > 0.1 or done == self._progress.tasks[self._task].total:
            self._shown = now
            self._progress.update(self._task, completed=done)

    def note(self, text: str) -> None:
        self._progress.update(self._task, note=text)

    def line(self, text: str) -> None:
        self.note(text)


class _Lines(Reporter):
    def __init__(self, console: Console, title: str) -> None:
        self._console, self._title = console, title
        self._last = -_SECONDS_BETWEEN_LINES

    def advance(self, done: int) -> None:
        pass

    def note(self, text: str) -> None:
        pass

    def line(self, text: str) -> None:
        now = time.monotonic()
        if now - self._last >= _SECONDS_BETWEEN_LINES:
            self._last = now
            self._console.print(f"{self._title}: {text}", highlight=False, soft_wrap=True)


class _Silence(Reporter):
    def advance(self, done: int) -> None:
        pass

    def note(self, text: str) -> None:
        pass

    def line(self, text: str) -> None:
        pass


@contextmanager
def progress(
    title: str, total: int, *, start: int = 0, show: bool = True, console: Console | None = None
) -> Iterator[Reporter]:
    """A reporter for `total` steps of which `start` are already done; silent unless `show`."""
    console = console or Console()
    if not show:
        yield _Silence()
    elif not console.is_terminal:
        yield _Lines(console, title)
    else:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            _RateColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
        )
        with Progress(*columns, console=console, refresh_per_second=5) as bars:
            yield _Bar(bars, title, total, start)
