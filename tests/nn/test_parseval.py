from typing import Any

from taut.nn import ParsevalLinear
from taut.testing import LinearContract


class TestParsevalLinear(LinearContract):
    every_weight = False
    bad_arguments = ({"beta": 0.0}, {"beta": 0.6})

    def make(self, in_features: int, out_features: int, **options: Any) -> ParsevalLinear:
        return ParsevalLinear(in_features, out_features, **options)
