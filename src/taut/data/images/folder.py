"""Pictures of the user's own: a folder train and a folder test, of any sizes, grey or in colour."""

from pathlib import Path

from taut.data.forms import needed_root
from taut.data.images.files import read_pictures
from taut.data.images.image_sets import ImageSets
from taut.errors import UserError

_LAYOUT = "it has a folder train and a folder test of pictures of any size"


def load_image_sets(data_root: Path | None, channels: int) -> ImageSets:
    """The pictures in train and test below `data_root`, or below its sub-folder image-sets, at any depth.

    Raises:
        UserError: Folders or pictures are missing or damaged; the sentence names one.
    """
    root = needed_root("image-sets", data_root, _LAYOUT)
    for folder in (root / "image-sets", root):
        if (folder / "train").is_dir() and (folder / "test").is_dir():
            train, test = (read_pictures(folder / name, name=name, channels=channels) for name in ("train", "test"))
            return ImageSets(name="image-sets", channels=channels, train=train, tests={"test": test})
    raise UserError(f"image-sets is not there: neither {root / 'image-sets'} nor {root} has folders train and test")
