"""What no page of the portal may hold: anything that the content security policy would have to stop."""

from urllib.parse import urlsplit

from tests.walls.pages import HtmlPage, text_of

LINKS = (
    "href",
    "src",
    "action",
    "formaction",
    "data",
    "poster",
    "xlink:href",
    "srcset",
    "hx-get",
    "hx-post",
    "hx-put",
    "hx-delete",
    "hx-patch",
)


def complaints(page: HtmlPage) -> list[str]:
    """Inline style, script and handlers, and addresses elsewhere; empty for a clean page."""
    found = []
    for element in page.tree.iter():
        if not isinstance(element.tag, str):
            continue
        if element.tag == "style" or (
            element.tag == "script" and "src" not in element.attrib and element.get("type") != "application/json"
        ):
            found.append(f"inline <{element.tag}>: {text_of(element)[:80]}")
        for name, value in element.attrib.items():
            if name == "style" or name.startswith("on") or (name.startswith(("hx-on", "hx-vals", "hx-vars")) and "js:" in value):
                found.append(f"<{element.tag} {name}={value[:80]!r}>")
            if name in LINKS and is_elsewhere(value):
                found.append(f"<{element.tag} {name}={value[:80]!r}> leads elsewhere")
    return found


def is_elsewhere(address: str) -> bool:
    parts = urlsplit(address.strip())
    return bool(parts.netloc or parts.scheme)
