"""What can be chosen about pictures that are streamed from their files."""

from dataclasses import dataclass

from taut.data.streaming import Augmentation
from taut.errors import require
from taut.training.phases import parse_phases


@dataclass(frozen=True, kw_only=True)
class StreamConfig:
    """How pictures of the data set image-stream are read; no other data set uses this."""

    phases: str = "0:224"
    """Side of training pictures in pixels, and optionally the batch size, by the share of the epochs that is done, such
    as 0:128:512,0.4:224:256; the learning rate grows with the batch."""
    augmentation: Augmentation = "crop"
    """Of training pictures: none; flip; shift, moved by up to an eighth and flipped; crop, a random part, resized and
    flipped; crop-colour, with random brightness, contrast and saturation."""
    evaluation_size: int = 0
    """Side of held-out pictures, of which the centre is taken; 0 for that of the last phase."""
    evaluation_batch: int = 250
    """Held-out pictures at a time."""
    validation_pictures: int = 5000
    """Held-out pictures, evenly spread over the split, that are looked at while training; 0 for all. The result is of
    all."""
    grey: bool = False
    """Read pictures as grey ones, with one channel."""
    workers: int = 2
    """Processes that decode pictures, for each process that trains; with 0 it decodes them itself."""
    channels_last: bool = False
    """Keep pictures and weights with the channels last in memory, which convolutions on GPUs with tensor cores like."""

    def __post_init__(self) -> None:
        parse_phases(self.phases, 1)
        require(self.evaluation_size >= 0, f"evaluation-size must not be negative, got {self.evaluation_size}")
        require(self.evaluation_batch >= 1, f"evaluation-batch must be at least 1, got {self.evaluation_batch}")
        require(
            self.validation_pictures >= 0, f"validation-pictures must not be negative, got {self.validation_pictures}"
        )
        require(self.workers >= 0, f"workers must not be negative, got {self.workers}")

    @property
    def size(self) -> int:
        """Side of held-out pictures."""
        return self.evaluation_size or parse_phases(self.phases, 1)[-1].size

    @property
    def channels(self) -> int:
        """Of pictures: 1 or 3."""
        return 1 if self.grey else 3
