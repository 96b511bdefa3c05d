"""What a customer types on the page of his quote, and what a seller types about one."""

from collections.abc import Iterable
from typing import Any

from django import forms

from orders import contacts
from orders.quote_document import Document
from orders.quoting import LONGEST_MESSAGE


def _words(
    label: str, *, longest: int, rows: int = 0, required: bool = True, say: str = "", hint: str = "", fill: str = "off"
) -> forms.CharField:
    attrs = {"autocomplete": fill} | ({"rows": rows} if rows else {})
    widget = forms.Textarea(attrs=attrs) if rows else forms.TextInput(attrs=attrs)
    return forms.CharField(
        label=label,
        max_length=longest,
        required=required,
        widget=widget,
        help_text=hint,
        error_messages={"required": say or "Fill this in."},
    )


class NamedForm(forms.Form):
    """Who answers; every answer of a customer begins with it."""

    name = _words("Your name", longest=120, say="Write your name.", fill="name")

    def clean_name(self) -> str:
        try:
            return contacts.person_name(self.cleaned_data["name"])
        except contacts.NotUsable as objection:
            raise forms.ValidationError(str(objection)) from objection


class AcceptForm(NamedForm):
    """The yes: name, role, the terms, and what exactly was displayed."""

    role = _words("Your role", longest=120, required=False, fill="organization-title")
    agreed = forms.BooleanField(
        label="I accept this quote",
        widget=forms.CheckboxInput(attrs={"class": "check"}),
        error_messages={"required": "Tick that you accept, or decline the quote below."},
    )
    content = forms.CharField(widget=forms.HiddenInput, max_length=64)

    def __init__(self, *args: Any, document: Document, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if document["terms"]:
            self.fields["agreed"].label = "I accept this quote and the terms below"


class DeclineForm(NamedForm):
    """The no, with its reason."""

    reason = _words("Why not", longest=150, rows=2, required=False, hint="Your seller reads it.")


class AskForm(NamedForm):
    """A wish for a change: of the whole, and of each line."""

    text = _words("What should be different", longest=LONGEST_MESSAGE, rows=3, required=False)

    def __init__(self, *args: Any, document: Document, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.positions = [line["position"] for line in document["lines"]]
        for line in document["lines"]:
            field = _words(f"About {line['title']}", longest=LONGEST_MESSAGE, rows=2, required=False)
            self.fields[f"line-{line['position']}"] = field

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        if not self.errors and not self.texts():
            self.add_error("text", "Write what should be different, here or about an item.")
        return data

    def texts(self) -> list[tuple[int | None, str]]:
        """Line (None: the whole) and words, of what was filled in."""
        found: list[tuple[int | None, str]] = [(None, self.cleaned_data.get("text", ""))]
        found += [(position, self.cleaned_data.get(f"line-{position}", "")) for position in self.positions]
        return [(position, text) for position, text in found if text]

    def line_fields(self) -> Iterable[forms.BoundField]:
        return [self[f"line-{position}"] for position in self.positions]


class ReasonForm(forms.Form):
    """Why a quote is taken back; demanded where the customer has accepted it."""

    reason = _words("Why", longest=200, required=False, hint="The customer is told, if the quote was accepted.")


class ExtendForm(forms.Form):
    """Another last day."""

    valid_until = forms.DateField(
        label="Valid until",
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
        error_messages={"invalid": "Write a day, for example 2026-12-31.", "required": "Write the last day."},
    )


class AnswerForm(forms.Form):
    """What the seller answers in the thread."""

    text = _words(
        "Your answer",
        longest=LONGEST_MESSAGE,
        rows=3,
        say="Write the answer first.",
        hint="The customer reads it beside the quote and gets a mail.",
    )


class AgreedForm(forms.Form):
    """Who agreed to a sent quote, and how, where the customer did not use his link."""

    name = _words("Who agreed", longest=120, say="Write who agreed.")
    how = _words("How", longest=300, say="Write how: by phone, by a mail of which day.", hint="For example: by phone on 3 December.")


class TemplateForm(forms.Form):
    """What a template is called."""

    name = _words("Name", longest=80, say="Write a name.")
