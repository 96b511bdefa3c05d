"""The PDF of a quote: everything of the sheet is on it, literally, in any script, and for screen readers."""

import io
import random
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from typing import Any

import pypdf
import pypdfium2  # type: ignore[import-untyped]
import pytest
from PIL import Image, ImageDraw

from orders.quote_document import Row, Sheet, Sum
from orders.quote_pdf import pdf

N = "\u00a0"
MARGIN = 20 / 25.4 * 72
HOSTILE = (
    '#panic("x")', "$x$", "*b*", "_i_", "`raw`", "= Head", "- one", "<label>", "@ref", "// gone", "/* gone */", "\\u{41}", "~", "--",
    "#sys.inputs", '"quoted"', "{{ 1 }}", "</script>", "[content]", '#read("/etc/passwd")', "#import", "%PDF", '", "x": "',
)  # fmt: skip


def row(position: int, title: str = "Microsoft 365 Business Premium", **changes: Any) -> Row:
    usual = Row(
        position=position,
        title=title,
        plan="1 year, monthly",
        sku=f"CFQ7TTC0LCHC:{position:04d}",
        vendor="Microsoft",
        quantity="1,120",
        price=f"€{N}18.60",
        per="per month",
        discount="",
        amount=f"€{N}20,832.00",
        is_optional=False,
        is_chosen=True,
        base=None,
    )
    return replace(usual, **changes)


SHEET = Sheet(
    number="SO-10476",
    revision="Revision 2",
    seller="Harbour Cloud Ltd",
    language="nl_NL",
    colour="",
    customer=("Maple Street Schools", "Ann Baker", "Keizersgracht 1", "", "1015 CJ Amsterdam", "Netherlands"),
    facts=(("Date", "23 Nov 2026"), ("Valid until", "23 Dec 2026"), ("Currency", "EUR"), ("Your reference", "PO-2026-118")),
    note="Prijzen zijn inclusief onderwijskorting.\nLicenties starten op de dag van akkoord.",
    rows=(
        row(1, "Microsoft 365 A3 for faculty", per="per year"),
        row(2, "Defender for Endpoint P2", base=1, discount=f"5{N}% off €{N}2.60", amount=f"€{N}296.40"),
        row(3, "Cyber Protect Advanced", is_optional=True, is_chosen=False, amount=f"€{N}95.00"),
    ),
    sums=(
        Sum("Due on acceptance", f"€{N}4,464.00"),
        Sum("Then every month", f"€{N}391.40"),
        Sum("Discount included", f"€{N}15.60"),
        Sum(f"Tax 21{N}%", f"€{N}1,019.63"),
        Sum("First payment", f"€{N}5,875.03", is_strong=True),
    ),
    tax_note="Reverse charge: the customer accounts for the tax.",
    terms="Betaling binnen 30 dagen.\n\nZie https://harbourcloud.example/terms/" + "a" * 90 + "/end voor de rest.",
)
SIXTY = replace(SHEET, rows=tuple(row(number, f"Product number {number} of sixty") for number in range(1, 61)))


def squeezed(text: str) -> str:
    """Without white space: where a line breaks is not the sheet's."""
    return "".join(text.split())


def pages(made: bytes) -> list[str]:
    document = pypdfium2.PdfDocument(made)
    return [squeezed(page.get_textpage().get_text_range()) for page in document]


def text(made: bytes) -> str:
    return "".join(pages(made))


def strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for one in value.values():
            yield from strings(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from strings(one)


def characters(made: bytes) -> list[tuple[str, float, float]]:
    """Of the first page: each character with its left and right edge."""
    page = pypdfium2.PdfDocument(made)[0].get_textpage()
    found = ((page.get_text_range(index, 1), page.get_charbox(index)) for index in range(page.count_chars()))
    return [(character, box[0], box[2]) for character, box in found if character.strip()]


def left_edge(made: bytes, words: str) -> float:
    placed = characters(made)
    at = "".join(character for character, _left, _right in placed).index(squeezed(words))
    return placed[at][1]


def is_accessible(made: bytes) -> bool:
    root: Any = pypdf.PdfReader(io.BytesIO(made)).trailer["/Root"]
    return b"<pdfuaid:part>1</pdfuaid:part>" in root["/Metadata"].get_data()


def pictures(made: bytes) -> list[Any]:
    return [image for page in pypdf.PdfReader(io.BytesIO(made)).pages for image in page.images]


def logo(ink: str = "#0a7d4b", ground: str = "#00000000") -> bytes:
    picture = Image.new("RGBA", (720, 240), ground)
    ImageDraw.Draw(picture).rounded_rectangle((20, 40, 700, 200), 30, fill=ink)
    made = io.BytesIO()
    picture.save(made, "PNG")
    return made.getvalue()


# --- what is on it


def test_every_word_and_figure_of_the_sheet_is_on_paper() -> None:
    found = text(pdf(SHEET, logo=None))
    said = asdict(SHEET) | {"language": "", "colour": "", "title": SHEET.title}
    assert [one for one in strings(said) if squeezed(one) not in found] == []


def test_nothing_is_headed_that_a_quote_does_not_have() -> None:
    found = text(pdf(replace(SHEET, note="", terms="", tax_note=""), logo=None))
    assert "Note" not in found
    assert "Terms" not in found


@pytest.mark.parametrize("hostile", HOSTILE)
def test_text_from_outside_is_never_markup_or_code(hostile: str) -> None:
    sheet = replace(
        SHEET,
        number=hostile, revision=f"r{hostile}", seller=f"s{hostile}", customer=(f"c{hostile}",), facts=((f"f{hostile}", f"v{hostile}"),),
        note=f"n{hostile}\n\n{hostile}", terms=f"t{hostile}\n{hostile}", tax_note=f"x{hostile}", sums=(Sum(f"l{hostile}", f"a{hostile}"),),
        rows=(row(1, f"w{hostile}", plan=f"p{hostile}", sku=f"k{hostile}", vendor=f"z{hostile}", quantity=f"q{hostile}", price=f"e{hostile}", per=f"y{hostile}", discount=f"d{hostile}", amount=f"m{hostile}"),),
    )  # fmt: skip
    made = pdf(sheet, logo=None)
    found = text(made)
    assert [one for one in "rscfvntxlawpkqeydmz" if squeezed(f"{one}{hostile}") not in found] == []
    assert squeezed(f"Quote {hostile}") in found
    assert is_accessible(made)


def test_what_is_optional_says_so_and_whether_it_counts() -> None:
    left_out = text(pdf(SHEET, logo=None))
    assert left_out.count("Optional") == 1
    assert left_out.count(squeezed("not in the totals")) == 1
    taken = text(pdf(replace(SHEET, rows=(*SHEET.rows[:2], replace(SHEET.rows[2], is_chosen=True))), logo=None))
    assert taken.count("Optional") == taken.count("chosen") == 1
    assert squeezed("not in the totals") not in taken


def test_an_add_on_stands_indented_under_its_base() -> None:
    made = pdf(replace(SHEET, rows=(row(1, "Baseone"), row(3, "Under", base=1), row(4, "Deeper", base=3), row(2, "Basetwo"))), logo=None)
    assert re.findall("Baseone|Basetwo|Under|Deeper", text(made)) == ["Baseone", "Under", "Deeper", "Basetwo"]
    assert left_edge(made, "Baseone") == pytest.approx(left_edge(made, "Basetwo"), abs=1)
    assert left_edge(made, "Baseone") + 10 < left_edge(made, "Under") < left_edge(made, "Deeper") - 10


# --- how it is laid out


def test_each_page_has_its_number_the_columns_names_and_whole_rows() -> None:
    found = pages(pdf(SIXTY, logo=None))
    assert len(found) > 2
    for number, page in enumerate(found, 1):
        assert page.count(f"Page{number}of{len(found)}") == 1
        assert squeezed("SO-10476 · Revision 2 · Harbour Cloud Ltd") in page
        assert page.count("Quantity") == bool("Productnumber" in page)
    for line in SIXTY.rows:
        [page] = [page for page in found if squeezed(line.sku) in page]
        assert squeezed(line.title) in page


def test_long_texts_are_complete_and_go_on_over_pages() -> None:
    note = " ".join(f"note{number}" for number in range(500))
    terms = "\n\n".join(
        f"{number}. " + "The vendor provides what it can, as long as it can. " * 4 + f"end{number}." for number in range(90)
    )
    found = pages(pdf(replace(SHEET, note=note, terms=terms[:20_000]), logo=None))
    assert len(found) > 3
    joined = re.sub(r"SO-10476·Revision2·HarbourCloudLtdPage\dof\d", "", "".join(found))
    assert squeezed(note) in joined
    assert squeezed(terms[:20_000]) in joined


@pytest.mark.parametrize(
    "word", ["x" * 300, "a\u00a0" * 150, "_" * 300, "ש" * 300, "\U0010ffff" * 200, "https://example.com/" + "path/" * 60]
)
def test_no_word_runs_out_of_its_place(word: str) -> None:
    width = pypdfium2.PdfDocument(pdf(SHEET, logo=None))[0].get_width()
    made = pdf(replace(SHEET, seller=word, customer=(word,), facts=(("Reference", word),), note=word, rows=(row(1, word),)), logo=None)
    edges = [edge for _character, left, right in characters(made) for edge in (left, right)]
    assert min(edges) > MARGIN - 1
    assert max(edges) < width - MARGIN + 1


def test_the_same_sheet_gives_the_same_bytes() -> None:
    assert pdf(SHEET, logo=logo()) == pdf(SHEET, logo=logo())
    assert pdf(SHEET, logo=None) != pdf(replace(SHEET, revision="Revision 3"), logo=None)


def test_threads_get_each_their_own() -> None:
    sheets = [replace(SHEET, customer=(f"Customer{number}end",)) for number in range(16)]
    with ThreadPoolExecutor(4) as threads:
        made = list(threads.map(lambda sheet: pdf(sheet, logo=None), sheets))
    assert [re.findall(r"Customer\d+end", text(one)) for one in made] == [[f"Customer{number}end"] for number in range(16)]


# --- logo and colour


def test_a_logo_stands_in_place_of_the_name() -> None:
    made = pdf(SHEET, logo=logo())
    [picture] = pictures(made)
    assert picture.image.size == (720, 240)
    assert text(made).count("HarbourCloudLtd") == 1  # in the footer
    plain = pdf(SHEET, logo=None)
    assert pictures(plain) == []
    assert text(plain).count("HarbourCloudLtd") == 2


@pytest.mark.parametrize(
    "broken", [b"", b"no picture", logo()[:200], logo()[:-30], logo(ink="#fefefe"), b"<svg xmlns='http://www.w3.org/2000/svg'/>"]
)
def test_a_logo_that_can_not_be_shown_gives_way_to_the_name(broken: bytes) -> None:
    made = pdf(SHEET, logo=broken)
    assert pictures(made) == []
    assert text(made).count("HarbourCloudLtd") == 2


@pytest.mark.parametrize(
    ("colour", "band", "is_text_coloured"),
    [("#b42318", (180, 35, 24), True), ("#ffe066", (255, 224, 102), False), ("", (63, 78, 202), True), ("red", (63, 78, 202), True)],
)
def test_the_colour_is_used_for_text_only_where_it_can_be_read(colour: str, band: tuple[int, int, int], is_text_coloured: bool) -> None:
    picture = pypdfium2.PdfDocument(pdf(replace(SHEET, colour=colour), logo=None))[0].render(scale=3).to_pil().convert("RGB")
    assert picture.getpixel((100, 5)) == band
    below = picture.crop((0, 30, picture.width, picture.height))
    assert (band in {colour for _count, colour in below.getcolors(1_000_000) or []}) == is_text_coloured


# --- any script

SCRIPTS = {
    "Latin": "Żółć Straße İstanbul Łódź",
    "Greek": "Ελληνική Εταιρεία",
    "Cyrillic": "ООО «Ромашка» Їжак",
    "Arabic": "شركة النور للتجارة",
    "Hebrew": "חברת אור בעמ",
    "Armenian": "Հայաստան",
    "Georgian": "საქართველო",
    "Ethiopic": "ኢትዮጵያ",
    "Devanagari": "हिन्दी कंपनी लिमिटेड",
    "Bengali": "বাংলা কোম্পানি",
    "Gujarati": "ગુજરાતી કંપની",
    "Gurmukhi": "ਪੰਜਾਬੀ ਕੰਪਨੀ",
    "Kannada": "ಕನ್ನಡ ಕಂಪನಿ",
    "Malayalam": "മലയാളം കമ്പനി",
    "Oriya": "ଓଡ଼ିଆ କମ୍ପାନୀ",
    "Sinhala": "සිංහල සමාගම",
    "Tamil": "தமிழ் நிறுவனம்",
    "Telugu": "తెలుగు కంపెనీ",
    "Thai": "บริษัทไทยพาณิชย์จำกัด",
    "Lao": "ບໍລິສັດລາວ",
    "Khmer": "ក្រុមហ៊ុនខ្មែរ",
    "Myanmar": "မြန်မာကုမ္ပဏီ",
    "Chinese": "北京大学科技有限公司 臺灣電力",
    "Japanese": "株式会社さくらカンパニー",
    "Korean": "삼성전자 주식회사",
    "emoji": "😀🎉🇳🇱👩🏽‍💻❤️",
    "symbols": "→ ✓ ☎ ⅓ ™ ₹ ₿ ☐ ■ ∑ 𝐀",
}


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_name_in_any_script_is_printed(script: str) -> None:
    made = pdf(replace(SHEET, customer=(SCRIPTS[script],), rows=(row(1, SCRIPTS[script]),)), logo=None)
    assert is_accessible(made)
    assert "\ufffd" not in text(made)
    # Shaped text is stored by glyphs: a reader gives all its characters, not always each in its place.
    marks = set("\ufe0f\u200d")
    assert set(squeezed(SCRIPTS[script])) - marks <= set("".join(page.extract_text() for page in pypdf.PdfReader(io.BytesIO(made)).pages))


@pytest.mark.parametrize("words", ["אבגדה Zq", "ابتثج Zq", "Zq אבגדה"])
def test_a_line_runs_from_where_its_first_letter_begins(words: str) -> None:
    placed = {character: left for character, left, _right in characters(pdf(replace(SHEET, customer=(words,)), logo=None))}
    first, last = (words[0], words[4]) if words.endswith("Zq") else (words[3], words[-1])
    assert placed["Z"] < placed["q"] < placed[last] < placed[first]


def test_what_no_font_has_is_replaced_where_one_sees_it() -> None:
    made = pdf(replace(SHEET, customer=("Pharaoh \U00013000\U00013001 Ltd",), note="y\u0651 and my Яндекс"), logo=None)
    found = text(made)
    assert squeezed("Pharaoh \ufffd\ufffd Ltd") in found
    # The letter is there; only its mark belongs to another script.
    assert squeezed("y\ufffd and my Яндекс") in found
    assert is_accessible(made)


def test_what_is_no_text_is_left_out() -> None:
    made = pdf(
        replace(SHEET, customer=("Ma\x00ple\x07 \ufeffStreet\ud800",), note="One\r\ntwo\u2028three\tfour", seller="e" + "\u0301" * 500),
        logo=None,
    )
    found = text(made)
    assert "MapleStreet\ufffd" in found
    assert "Onetwothreefour" in found
    assert is_accessible(made)


def test_a_text_that_the_pdf_writer_panics_at_still_gives_a_pdf() -> None:
    made = pdf(replace(SHEET, terms="a" + "\U0001d165" * 19_999), logo=None)
    assert "HarbourCloudLtd" in text(made)


def test_any_text_gives_a_pdf() -> None:
    chance = random.Random(10476)
    for _ in range(5):
        words = "".join(chr(chance.choice([chance.randrange(0x3000), chance.randrange(0x110000)])) for _ in range(200))
        sheet = replace(SHEET, number=words[:9], seller=words[:60], customer=(words[60:90],), rows=(row(1, words),), terms=words * 3)
        assert len(pages(pdf(sheet, logo=None))) > 0


# --- for screen readers


def test_it_is_tagged_has_a_title_and_names_its_languages() -> None:
    made = pdf(SHEET, logo=logo())
    root: Any = pypdf.PdfReader(io.BytesIO(made)).trailer["/Root"]
    assert root["/MarkInfo"]["/Marked"]
    assert root["/Lang"] == "en-GB"
    assert root["/ViewerPreferences"]["/DisplayDocTitle"]
    information: Any = pypdf.PdfReader(io.BytesIO(made)).metadata
    assert (information.title, information.author) == ("Quote SO-10476, Revision 2", "Harbour Cloud Ltd")
    assert information.creation_date is None
    assert is_accessible(made)
    tags = list(structure(root["/StructTreeRoot"]))
    kinds = [kind for kind, _tag in tags]
    assert kinds.count("/H1") == 1
    assert kinds.count("/H2") == 3
    assert kinds.count("/TH") == 4
    assert kinds.count("/TR") == 1 + len(SHEET.rows)
    assert [tag["/Alt"] for kind, tag in tags if kind == "/Figure"] == ["Harbour Cloud Ltd"]
    # Note and terms are the seller's own words.
    assert "nl-NL" in {tag.get("/Lang") for _kind, tag in tags}


def structure(node: Any) -> Iterator[tuple[str, Any]]:
    node = node.get_object()
    if isinstance(node, list):
        for one in node:
            yield from structure(one)
    elif isinstance(node, dict):
        if "/S" in node:
            yield str(node["/S"]), node
        if "/K" in node:
            yield from structure(node["/K"])
