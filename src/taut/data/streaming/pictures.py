"""A split of streamed pictures as what torch's DataLoader reads: whole batches of decoded views."""

from collections.abc import Sequence

import torch
from jaxtyping import Int64, UInt8
from torch import Tensor
from torch.utils.data import Dataset

from taut.data.pictures import open_picture, picture_channels
from taut.data.streaming.source import PictureSource
from taut.data.streaming.views import Augmentation, centre_view, to_bytes, training_view
from taut.errors import UserError

Key = tuple[int, int, int]
"""Index of a picture, side of its view, and the seed of it; a negative seed asks for the centre."""

CENTRE = -1


class Decoded(Dataset):
    """Batches of views of one split, each a pure function of its keys."""

    def __init__(self, source: PictureSource, *, channels: int, augmentation: Augmentation = "none") -> None:
        self.source, self.channels = source, channels
        self.augmentation: Augmentation = augmentation

    def __getitem__(self, keys: Sequence[Key]) -> "DecodedBatch":
        """All pictures of a batch, of one size. What is damaged is said in the batch, since an error that crosses
        processes loses its sentence."""
        labels = self.source.labels[[index for index, _, _ in keys]]
        try:
            return torch.stack([self.view(*key) for key in keys]), labels, ""
        except UserError as error:
            side = keys[0][1]
            return torch.zeros(len(keys), self.channels, side, side, dtype=torch.uint8), labels, str(error)

    def view(self, index: int, size: int, seed: int) -> UInt8[Tensor, "channels size size"]:
        """One picture. UserError, naming its file, where it is damaged or of a kind that cannot be read."""
        content, name = self.source.encoded(index)
        image = open_picture(content, name)
        picture_channels(image, name)  # refuses other kinds
        try:
            image = image.convert("L" if self.channels == 1 else "RGB")
        except Exception as error:  # damaged files fail in Pillow's decoders in many ways
            raise UserError(f"{name} is damaged: {' '.join(str(error).split()) or type(error).__name__}") from error
        if seed == CENTRE:
            return to_bytes(centre_view(image, size, share=self._share))
        return to_bytes(training_view(image, size, seed, self.augmentation))

    @property
    def _share(self) -> float:
        """Networks that were trained on random parts see the centre larger; others see whole pictures."""
        return 0.875 if self.augmentation in ("crop", "crop-colour") else 1.0


DecodedBatch = tuple[UInt8[Tensor, "batch channels size size"], Int64[Tensor, " batch"], str]
"""Pictures, labels, and the sentence about a picture that is damaged; then all are black."""
