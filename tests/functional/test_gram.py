"""The blocked Gram matrix is the Gram matrix."""

import pytest
import torch

from taut.functional._gram import gram_matrix


@pytest.mark.parametrize("shape", [(3, 4), (600, 512), (40, 700), (2, 5, 3), (0, 3), (3, 0)])
def test_is_the_product(shape: tuple[int, ...]) -> None:
    matrix = torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    gram = gram_matrix(matrix)
    assert torch.allclose(gram, matrix.mT @ matrix, rtol=0, atol=1e-11)
