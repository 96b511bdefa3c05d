"""A response as a reader and a browser see it: elements, fields with their messages, and what a form would send."""

import re
from collections.abc import Iterator
from typing import Any
from xml.etree.ElementTree import Element, SubElement

from selectolax.lexbor import LexborHTMLParser, LexborNode

# What differs between two answers of the same kind: CSRF tokens are masked anew and form tokens are made anew each time.
RANDOM = re.compile(rb'(name="(?:csrfmiddlewaretoken|token)" value=")[^"]*"')


class HtmlPage:
    """Parsed as a browser would parse it, so that a quote which escapes from an attribute is seen as what it is."""

    def __init__(self, response: Any) -> None:
        self.response = response
        self.tree = _tree(body_of(response))

    def all(self, tag: str = "*", **attributes: str) -> list[Element]:
        """Elements by tag and exact attributes; write aria_invalid for aria-invalid and for_ for `for`."""
        wanted = {name.rstrip("_").replace("_", "-"): value for name, value in attributes.items()}
        found = self.tree.iter() if tag == "*" else self.tree.iter(tag)
        return [element for element in found if isinstance(element.tag, str) and wanted.items() <= element.attrib.items()]

    def by_id(self, wanted: str) -> Element:
        found = self.all(id=wanted)
        assert len(found) == 1, f"{len(found)} elements with the id {wanted!r}"
        return found[0]

    def field(self, name: str) -> Element:
        found = [element for element in self.all(name=name) if element.tag in {"input", "select", "textarea"}]
        assert found, f"no field {name!r}; there are {sorted(self.sent())}"
        return found[0]

    def control(self, name: str) -> Element:
        """What a person changes the field with: itself, or the button that stands for a hidden one."""
        field = self.field(name)
        return self.by_id(f"id_{name}") if field.get("type") == "hidden" else field

    def beside(self, name: str) -> str:
        """Everything that the field's aria-describedby points to, as read aloud. Every id must exist."""
        return " ".join(text_of(self.by_id(one)) for one in self.control(name).get("aria-describedby", "").split())

    def says(self, words: str) -> bool:
        return words in text_of(self.tree)

    @property
    def text(self) -> str:
        return text_of(self.tree)

    def sent(self, method: str = "post") -> dict[str, str]:
        """What the page's forms of the method would send, without the buttons; the CSRF token left out."""
        found: dict[str, str] = {}
        for form in self.all("form"):
            if form.get("method", "get").lower() == method:
                found |= dict(_controls(form))
        found.pop("csrfmiddlewaretoken", None)
        return found

    def links(self) -> list[str]:
        return [element.attrib["href"] for element in self.all("a") if "href" in element.attrib]


def _tree(body: bytes) -> Element:
    """The page as Python's own elements, which the tests read, from a parser that follows the HTML standard and is not written in Python."""
    root = LexborHTMLParser(body.decode(errors="replace")).root
    assert root is not None
    tree = Element("html", _attributes(root))
    _add_children(tree, root)
    return tree


def _add_children(parent: Element, node: LexborNode) -> None:
    last: Element | None = None
    for child in _children(node):
        if child.is_text_node:
            text = child.text_content or ""
            if last is None:
                parent.text = (parent.text or "") + text
            else:
                last.tail = (last.tail or "") + text
        elif child.is_element_node:
            last = SubElement(parent, str(child.tag), _attributes(child))
            _add_children(last, child)


def _children(node: LexborNode) -> Iterator[LexborNode]:
    # The content of a template is no part of its document.
    child = node.template_fragments()[0].child if node.tag == "template" else node.child
    while child is not None:
        yield child
        child = child.next


def _attributes(node: LexborNode) -> dict[str, str]:
    return {name: value or "" for name, value in node.attributes.items()}


def _controls(form: Element) -> Iterator[tuple[str, str]]:
    for element in form.iter():
        name = element.get("name", "") if isinstance(element.tag, str) else ""
        if not name or element.tag == "button":
            continue
        if element.tag == "textarea":
            # A parser drops the newline after the start tag; Django writes one.
            yield name, element.text or ""
        elif element.tag == "select":
            options = list(element.iter("option"))
            chosen = [option for option in options if "selected" in option.attrib] or options[:1]
            for option in chosen:
                yield name, option.get("value", option.text or "")
        elif element.get("type") not in {"checkbox", "radio"} or "checked" in element.attrib:
            yield name, element.get("value", "")


def body_of(response: Any) -> bytes:
    return b"".join(response.streaming_content) if getattr(response, "streaming", False) else bytes(response.content)


def text_of(element: Element) -> str:
    return " ".join("".join(element.itertext()).split())


def value_of(element: Element) -> str:
    if element.tag == "textarea":
        return element.text or ""
    if element.tag == "select":
        return next((option.get("value", "") for option in element.iter("option") if "selected" in option.attrib), "")
    return element.get("value", "")


def likeness(response: Any, *typed: str) -> tuple[int, tuple[tuple[str, str], ...], bytes]:
    """Status, headers and body, less what is random; `typed` is what the asker wrote, which an answer may repeat."""
    body = RANDOM.sub(rb'\1"', body_of(response))
    headers = {name.lower(): value for name, value in response.headers.items()}
    for words in sorted(typed, key=len, reverse=True):
        body = body.replace(words.encode(), b"TYPED")
        headers = {name: value.replace(words, "TYPED") for name, value in headers.items()}
    if typed:
        headers.pop("content-length", None)
    headers["cookies"] = ", ".join(sorted(response.cookies))
    return response.status_code, tuple(sorted(headers.items())), body
