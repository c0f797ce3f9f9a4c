"""torch.onnx reads its table of operators anew for each export, most of the time of a small one; here it is kept."""

import functools

import pytest


def pytest_runtest_setup(item: pytest.Item) -> None:
    if "export" in item.name:
        keep_registry()


@functools.cache
def keep_registry() -> None:
    """Nothing in the tests registers operators, so that every export may have the same table."""
    try:
        import onnxscript  # noqa: F401
        from torch.onnx._internal.exporter._registration import ONNXRegistry
    except ImportError:
        return  # without onnxscript nothing is exported, and where torch keeps its table is its own affair
    ONNXRegistry.from_torchlib = staticmethod(functools.cache(ONNXRegistry.from_torchlib))
