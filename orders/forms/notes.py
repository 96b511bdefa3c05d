"""The short texts that a button may bring along."""

from django import forms


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
