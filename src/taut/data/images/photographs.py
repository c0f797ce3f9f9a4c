"""Photographs that scikit-image brings in its own files: nothing is downloaded."""

from pathlib import Path

import torch

from taut.data.images.files import read_picture
from taut.data.images.image_sets import ImageSets, check_sizes
from taut.errors import UserError

_TRAIN = ("astronaut.png", "brick.png", "coffee.png", "grass.png", "gravel.png", "moon.png", "motorcycle_left.png",
          "page.png", "rocket.jpg")  # fmt: skip
_TEST = ("camera.png", "chelsea.png", "coins.png")
_LARGEST = 512


def load_photographs(channels: int) -> ImageSets:
    """Nine photographs to train on; camera, chelsea (a cat) and coins are held out.

    Some are grey whatever `channels` says; those have three equal channels where it is 3. Longer sides are cut to 512.

    Raises:
        UserError: scikit-image is missing, or its version does not bring one of them.
    """
    try:
        import skimage
    except ImportError as error:
        raise UserError(
            'photographs are those of scikit-image, which is missing: pip install "taut[imaging]"'
        ) from error
    folder = Path(skimage.__file__).parent / "data"
    sets = []
    for name, files in (("train", _TRAIN), ("photographs", _TEST)):
        # Read as files: the functions of skimage.data download what a version does not bring.
        if missing := [file for file in files if not (folder / file).is_file()]:
            raise UserError(f"photographs are not complete: this version of scikit-image lacks {missing[0]}")
        pixels = [read_picture(folder / file, channels=channels) for file in files]
        cut = [torch.clone(picture[:, :_LARGEST, :_LARGEST]) for picture in pixels]
        sets.append(check_sizes(name, [Path(file).stem for file in files], cut))
    return ImageSets(name="photographs", channels=channels, train=sets[0], tests={"photographs": sets[1]})
