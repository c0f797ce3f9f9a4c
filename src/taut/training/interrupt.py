"""Ctrl-C and SIGTERM: during training they wait for the end of the step, elsewhere they act at once."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interrupted(KeyboardInterrupt):
    """The run was asked to stop by `signal_number`, and has put itself in order."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(signal.Signals(signal_number).name)
        self.exit_code = 128 + signal_number
        self.hint = "interrupted"


class Interruption:
    """Remembers the first SIGINT or SIGTERM while `deferred()`; outside it, and from the second one on, raises
    `Interrupted`."""

    def __init__(self) -> None:
        self.signal_number = 0
        self._deferred = False

    def _handle(self, signal_number: int, _frame: FrameType | None) -> None:
        again = self.signal_number != 0
        self.signal_number = signal_number
        if again or not self._deferred:
            raise Interrupted(signal_number)

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Within, a signal only sets `signal_number`."""
        self._deferred = True
        try:
            yield
        finally:
            self._deferred = False


@contextmanager
def interruptible() -> Iterator[Interruption]:
    """Install the handlers for the time of the block (in the main thread; elsewhere nothing is installed)."""
    interruption = Interruption()
    if threading.current_thread() is not threading.main_thread():
        yield interruption
        return
    numbers = (signal.SIGINT, signal.SIGTERM)
    previous = [signal.signal(number, interruption._handle) for number in numbers]
    try:
        yield interruption
        if interruption.signal_number:  # came where Python does not let an exception out, such as a destructor
            raise Interrupted(interruption.signal_number)
    finally:
        for number, handler in zip(numbers, previous, strict=True):
            signal.signal(number, handler)
