"""A quote as PDF: the sheet goes as data into `templates/quote.typ`, which Typst sets.

Text from outside is never Typst's source, so that nothing in it can be run, and the fonts come with packages, so that the PDF is
the same on every machine. It is PDF/UA-1: tagged for screen readers, with title and language. It has no date of its own, so that
the same sheet gives the same bytes.

Covered are Latin, Greek, Cyrillic, Arabic, Hebrew, Armenian, Georgian, Ethiopic, Thai, Lao, Khmer, Myanmar, Devanagari, Bengali,
Gujarati, Gurmukhi, Kannada, Malayalam, Oriya, Sinhala, Tamil, Telugu, Chinese, Japanese, Korean, emoji in one colour and the usual
symbols. Not covered are Tibetan, Mongolian, Syriac, Thaana, Javanese, Canadian syllabics and historical scripts: what no font has
is printed as �. A PDF comes always: when even that does not help, it is one that
is not PDF/UA-1.
"""

import io
import json
import logging
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import asdict
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any

import typst
from django.conf import settings
from PIL import Image

from orders import formats, logos
from orders.quote_document import Row, Sheet

log = logging.getLogger(__name__)

FONTS = ("fontpkg_inter", "manimgx_fonts", "manimgx_fonts_cjk")
INDIGO, INK = "#3f4eca", "#191e28"
COLOUR = re.compile("#[0-9a-fA-F]{6}")
READABLE = 4.5  # contrast of text with its ground, WCAG AA
FAINTEST = 200  # of 255: what is nowhere darker can't be seen on paper
CONTROLS = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x9f\ufeff]")
ACCENT = "[\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]"
# More on one letter is no writing, and would be printed over the lines above.
ACCENTS = re.compile(f"({ACCENT}{{5}}){ACCENT}+")
SURROGATES, BEYOND_BMP = re.compile("[\ud800-\udfff]"), re.compile("[\U00010000-\U0010ffff]")
REPLACEMENT = "\ufffd"
ROUNDS = 8


def pdf(sheet: Sheet, *, logo: bytes | None) -> bytes:
    """The quote on A4. A logo that is broken, or that can't be seen on white, gives way to the seller's name."""
    data = json.dumps(_cleaned(_data(sheet)), ensure_ascii=False)
    picture = json.dumps(list(_picture(logo)))
    for _ in range(ROUNDS):
        try:
            return _compiled(data, picture, ["ua-1"])
        except Refused as refused:
            printable = _without(data, _missing(str(refused)))
            if printable == data:
                break
            data = printable
    log.warning("The PDF of quote %s is not PDF/UA-1", sheet.number)
    return _compiled(BEYOND_BMP.sub(REPLACEMENT, data), picture, [])


class Refused(Exception):
    """Typst makes no PDF of this. The text is what it says, with all the characters that it can't show."""


# --- what the template gets


def _data(sheet: Sheet) -> dict[str, Any]:
    band, accent = _colours(sheet.colour)
    return asdict(sheet) | {
        "title": sheet.title,
        "rows": _nested(sheet.rows),
        "band": band,
        "accent": accent,
        # The portal's words are English everywhere; note and terms are the seller's own.
        "region": "US" if sheet.language == "en_US" else "GB",
        "prose": (sheet.language if sheet.language in formats.LOCALES else formats.DEFAULT).split("_"),
    }


def _colours(colour: str) -> tuple[str, str]:
    """Of what is only decoration, and of text: a colour that nobody could read on white is for decoration only."""
    if not COLOUR.fullmatch(colour):
        return INDIGO, INDIGO
    return colour, colour if 1.05 / (_luminance(colour) + 0.05) >= READABLE else INK


def _luminance(colour: str) -> float:
    """0 (black) to 1 (white), as WCAG counts."""
    parts = (int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5))
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _nested(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Each add-on, which stands after its base, one `level` deeper."""
    levels: dict[int | None, int] = {}
    for row in rows:
        levels[row.position] = levels.get(row.base, -1) + 1
    return [asdict(row) | {"level": levels[row.position]} for row in rows]


def _cleaned(value: Any) -> Any:
    """The same without what is no text, and with one kind of line break."""
    if isinstance(value, str):
        plain = CONTROLS.sub("", value.replace("\t", "    "))
        return "\n".join(SURROGATES.sub(REPLACEMENT, ACCENTS.sub(r"\1", plain)).splitlines())
    if isinstance(value, dict):
        return {key: _cleaned(one) for key, one in value.items()}
    return [_cleaned(one) for one in value] if isinstance(value, list | tuple) else value


@lru_cache(maxsize=32)
def _picture(logo: bytes | None) -> bytes:
    """A sound PNG, or nothing. It is drawn anew, because what Pillow forgives may stop Typst."""
    if not logo:
        return b""
    try:
        drawn = logos.as_png(io.BytesIO(logo)).read()
    except logos.NotAPicture:
        return b""
    with Image.open(io.BytesIO(drawn)) as picture:
        paper = Image.new("RGBA", picture.size, "white")
        shades = Image.alpha_composite(paper, picture.convert("RGBA")).convert("L").histogram()
    return drawn if any(shades[:FAINTEST]) else b""


# --- Typst


def _compiled(data: str, picture: str, standards: list[Any]) -> bytes:
    """Raises Refused. One thread only may use a compiler, which costs little; fonts and what Typst remembers are shared by all."""
    root = settings.BASE_DIR / "templates"
    compiler = typst.Compiler(root / "quote.typ", root, _fonts(), ignore_system_fonts=True)
    try:
        made = compiler.compile(format="pdf", pdf_standards=standards, sys_inputs={"data": data, "logo": picture})
    except typst.TypstError as error:
        raise Refused(error.diagnostic) from error
    except BaseException as error:
        # Its PDF writer panics when one line has more than 64 KB, and pyo3's exception has no class that could be imported.
        if type(error).__name__ == "PanicException":
            raise Refused(str(error)) from error
        raise
    assert isinstance(made, bytes)
    return made


@cache
def _fonts() -> typst.Fonts:
    """Typst's embedded fonts come last and help out with symbols."""
    return typst.Fonts(include_system_fonts=False, font_paths=[str(files(package)) for package in FONTS])


# --- what no font has


def _missing(diagnostic: str) -> set[str]:
    """The characters that Typst could not show. It names each whole cluster, e.g. a letter that has its font but not with its accent."""
    quoted = "".join(re.findall(r'the text (?:contains .* )?`"((?:[^"\\]|\\.)*)"`', diagnostic))
    return set(re.sub(r"\\u\{(\w+)\}|\\(.)", lambda found: chr(int(found[1], 16)) if found[1] else found[2], quoted))


def _without(data: str, missing: set[str]) -> str:
    """The data with � for what is missing. Where letters stand with marks, only the marks go at first: the letters may be fine alone."""
    if not missing:
        return data
    runs = re.compile(f"[{re.escape(''.join(missing))}]+")
    bare = runs.sub(lambda run: run[0] if all(map(_is_mark, run[0])) else "".join(map(_unmarked, run[0])), data)
    # ASCII is also what holds the data together.
    return bare if bare != data else runs.sub(lambda run: "".join(one if one.isascii() else REPLACEMENT for one in run[0]), data)


def _unmarked(character: str) -> str:
    return REPLACEMENT if _is_mark(character) else character


def _is_mark(character: str) -> bool:
    """It stands on or changes the character before it: accents, vowel signs, skin tones."""
    return unicodedata.category(character) in ("Mn", "Mc", "Me", "Sk", "Cf")
