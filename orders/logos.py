"""Logos: what is uploaded is drawn anew, so that nothing but pixels is kept and served."""

import io
import secrets
import warnings
from typing import IO

from django.core.files.base import ContentFile
from django.db.models.fields.files import FieldFile
from PIL import Image, UnidentifiedImageError

FORMATS = ("PNG", "JPEG", "WEBP", "GIF")
MOST_BYTES = 2 * 1024 * 1024
# A small file can unpack to gigabytes.
MOST_PIXELS = 25_000_000
SIZE = (720, 240)  # twice what is shown, for fine screens


class NotAPicture(Exception):
    """The file can't be a logo. The text is a sentence."""


def of(logo: FieldFile) -> bytes | None:
    """The kept picture; None where there is none, or its file is gone."""
    try:
        return logo.read() if logo else None
    except OSError:
        return None


def as_png(upload: IO[bytes]) -> ContentFile[bytes]:
    """The picture as a small PNG with a name that nobody guesses. Raises NotAPicture."""
    content = upload.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise NotAPicture("This file is larger than 2 MB. Save the logo smaller.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(content), formats=FORMATS) as picture:
                if picture.width * picture.height > MOST_PIXELS:
                    raise NotAPicture("This picture has too many pixels. Save the logo smaller.")
                drawn = picture.convert("RGBA")
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, ValueError, SyntaxError, EOFError) as error:
        raise NotAPicture("This is no PNG, JPEG, WebP or GIF picture, or it is broken.") from error
    drawn.thumbnail(SIZE)
    made = io.BytesIO()
    drawn.save(made, "PNG")
    return ContentFile(made.getvalue(), name=f"{secrets.token_hex(16)}.png")
