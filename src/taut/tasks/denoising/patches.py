"""Squares cut out of pictures, on the fly: which ones follows from a generator alone."""

from collections.abc import Sequence

import torch
from jaxtyping import Float32, UInt8
from torch import Tensor


class Patches:
    """Every square of one size in every picture with the same chance, in each of its eight positions."""

    def __init__(self, pictures: Sequence[UInt8[Tensor, "_channels _height _width"]], size: int) -> None:
        """ValueError unless every picture has room for a square of `size`."""
        self.pictures, self.size = pictures, size
        rooms = [[side - size + 1 for side in picture.shape[1:]] for picture in pictures]
        if min(min(room) for room in rooms) < 1:
            raise ValueError(f"a picture is smaller than patches of {size} pixels")
        self._rooms = torch.tensor(rooms)
        self._chances = self._rooms.prod(dim=1).double()

    def draw(
        self, count: int, generator: torch.Generator, *, kept: slice = slice(None)
    ) -> Float32[Tensor, "batch channels size size"]:
        """`count` patches in [0, 1]; those of the slice `kept` alone are cut."""
        chosen = torch.multinomial(self._chances, count, replacement=True, generator=generator)
        share = torch.rand(count, 2, generator=generator, dtype=torch.float64)
        corners = (share * self._rooms[chosen]).long()
        turns = torch.randint(8, (count,), generator=generator)
        rows = zip(chosen[kept].tolist(), corners[kept].tolist(), turns[kept].tolist(), strict=True)
        cut = [self._cut(picture, corner, turn) for picture, corner, turn in rows]
        return torch.stack(cut).to(torch.float32).div_(255)

    def _cut(self, picture: int, corner: list[int], turn: int) -> UInt8[Tensor, "channels size size"]:
        top, left = corner
        patch = self.pictures[picture][:, top : top + self.size, left : left + self.size]
        mirrored = patch.flip(-1) if turn % 2 else patch
        return mirrored.rot90(turn // 2, (1, 2))
