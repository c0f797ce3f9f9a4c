"""Pictures that the run itself wrote, as they stand: PNG and GIF files to be put into the page."""

import io
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from taut.errors import UserError

MEDIA_TYPES = {"PNG": "image/png", "GIF": "image/gif"}


@dataclass(frozen=True, kw_only=True)
class PictureFile:
    """A file with its size in pixels."""

    name: str
    """The file's name without its ending."""
    content: bytes
    media_type: str
    width: int
    height: int


def read_picture(path: Path) -> PictureFile:
    """Read a picture of which every pixel can be decoded; a `UserError` names the file that cannot be."""
    try:
        content = path.read_bytes()
        with Image.open(io.BytesIO(content), formats=list(MEDIA_TYPES)) as image:
            image.load()
            (width, height), media_type = image.size, MEDIA_TYPES[str(image.format)]
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise UserError(f"{path} is damaged: it is no picture that can be shown ({error})") from error
    return PictureFile(name=path.stem, content=content, media_type=media_type, width=width, height=height)
