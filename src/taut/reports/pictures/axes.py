"""Ends of axes that show what matters."""

import numpy as np


def steady_limits(noisy: list[float], steady: list[float]) -> tuple[float | None, float | None]:
    """Ends that show all of the steady values, and all but the wildest hundredth on each side of the noisy ones.

    >>> steady_limits([], [0.0, 1.0])
    (-0.06, 1.06)
    """
    shown = [*steady, *(np.quantile(noisy, [0.01, 0.99]).tolist() if noisy else [])]
    if not shown or max(shown) == min(shown):
        return None, None
    margin = 0.06 * (max(shown) - min(shown))
    return min(shown) - margin, max(shown) + margin
