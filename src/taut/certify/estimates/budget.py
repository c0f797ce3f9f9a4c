"""How much a search may cost: evaluations, which make it repeatable, and seconds, which do not."""

import time
from collections.abc import Callable

Progress = Callable[[float, float], bool | None]
"""Called with the share of the budget that is spent and the largest ratio so far; True ends the search."""


class Budget:
    """Evaluations of one sample (with its gradient, where one is needed), and the clock."""

    def __init__(self, *, evaluations: int, seconds: float | None = None, progress: Progress | None = None) -> None:
        self.evaluations = evaluations
        self.seconds = seconds
        self.spent = 0
        self.stopped = False
        self._progress = progress
        self._start = time.monotonic()

    def spend(self, samples: int) -> None:
        self.spent += samples

    def elapsed(self) -> float:
        return time.monotonic() - self._start

    def share(self) -> float:
        """The spent part, 0 to 1 and a little beyond; 1 when it was told to stop."""
        if self.stopped:
            return 1.0
        clock = 0.0 if self.seconds is None else self.elapsed() / max(self.seconds, 1e-9)
        return max(self.spent / self.evaluations, clock)

    def left(self, share: float = 1.0) -> bool:
        """Whether less than this share is spent."""
        return self.share() < share

    def tell(self, best: float) -> None:
        if self._progress is not None and self._progress(min(1.0, self.share()), best):
            self.stopped = True
