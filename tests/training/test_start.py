"""What a start of training imports, and what not."""

import subprocess
import sys


def test_the_engine_starts_without_metrics_that_it_does_not_use() -> None:
    code = "import sys, taut.tasks.classification; print('torchmetrics' in sys.modules, 'scipy.signal' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout == b"False False\n"
    code = "import taut.training, torchmetrics; print(torchmetrics.__name__)"  # and leaves them to those who do
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout == b"torchmetrics\n"
