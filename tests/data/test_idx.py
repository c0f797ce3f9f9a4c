"""Files in the idx format are read exactly, or refused by name."""

import gzip
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from taut.data import read_idx
from taut.errors import UserError


def encode(array: np.ndarray) -> bytes:
    sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
    return bytes([0, 0, 8, array.ndim]) + sizes + array.tobytes()


@settings(max_examples=30, deadline=None)
@given(array=arrays(np.uint8, array_shapes(max_dims=3, max_side=5)), packed=st.booleans())
def test_what_was_encoded_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, array: np.ndarray, packed: bool
) -> None:
    path = tmp_path_factory.mktemp("idx") / ("file.gz" if packed else "file")
    path.write_bytes(gzip.compress(encode(array)) if packed else encode(array))
    assert torch.equal(read_idx(path), torch.from_numpy(array))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "not an idx file"),
        (b"\x89PNG1234", "not an idx file"),
        (bytes([0, 0, 13, 1, 0, 0, 0, 1]) + b"abcd", "not an idx file of unsigned bytes"),
        (bytes([0, 0, 8, 3, 0, 0, 0, 1]), "truncated"),
        (encode(np.zeros((2, 3), np.uint8))[:-1], "announces 6 bytes of data, it holds 5"),
        (encode(np.zeros((2, 3), np.uint8)) + b"x", "announces 6 bytes of data, it holds 7"),
    ],
)
def test_other_bytes_are_refused_with_the_file_name(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "labels"
    path.write_bytes(content)
    with pytest.raises(UserError, match=reason) as refusal:
        read_idx(path)
    assert str(path) in str(refusal.value)


def test_a_damaged_gzip_stream_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "images.gz"
    path.write_bytes(gzip.compress(encode(np.arange(200, dtype=np.uint8)))[:-20])
    with pytest.raises(UserError, match="cannot read"):
        read_idx(path)
