"""The grey pictures on which denoisers are compared: 400 of 180 x 180 to train on, BSD68 and Set12 held out."""

from pathlib import Path

from taut.data.forms import needed_root
from taut.data.images.files import read_pictures
from taut.data.images.image_sets import ImageSets
from taut.errors import UsageError, UserError

_FOLDERS = ("train400", "bsd68", "set12")
_LAYOUT = (
    "it has the folders train400, bsd68 and set12 of grey pictures, as the code of DnCNN and of its successors does"
)


def load_bsd(data_root: Path | None, channels: int) -> ImageSets:
    """The pictures below `data_root`, or below its sub-folder bsd.

    Source: Martin, Fowlkes, Tal and Malik (2001), in the selection of Chen and Pock (2017) and Zhang et al. (2017).

    Raises:
        UsageError: Colour is asked for.
        UserError: Folders or pictures are missing or damaged; the sentence names one.
    """
    if channels != 1:
        raise UsageError("bsd has grey pictures alone: channels must be 1")
    root = needed_root("bsd", data_root, _LAYOUT)
    complete = [folder for folder in (root / "bsd", root) if all((folder / name).is_dir() for name in _FOLDERS)]
    if not complete:
        raise UserError(f"bsd is not there: neither {root / 'bsd'} nor {root} has folders {', '.join(_FOLDERS)}")
    train, *tests = (read_pictures(complete[0] / name, name=name, channels=1) for name in _FOLDERS)
    return ImageSets(name="bsd", channels=1, train=train, tests={test.name: test for test in tests})
