"""The short texts that a button may bring along."""

from django import forms


class FloorForm(forms.Form):
    """Why an order below the margin floor is placed all the same."""

    reason = forms.CharField(
        label="Why it is placed below the floor",
        max_length=300,
        widget=forms.Textarea(attrs={"rows": 3, "autocomplete": "off"}),
        help_text="Your team reads it in the timeline; viewers do not.",
        error_messages={"required": "Say why it is placed below the floor."},
    )


class CloseForm(forms.Form):
    """Why a failed order is closed."""

    reason = forms.CharField(label="Why", max_length=200, required=False)


class NoteForm(forms.Form):
    """A note on an order."""

    text = forms.CharField(
        label="Note",
        max_length=4000,
        widget=forms.Textarea(attrs={"rows": 3}),
        error_messages={"required": "Write the note first."},
    )
    token = forms.CharField(widget=forms.HiddenInput, max_length=64)
