from django import forms


class NoteForm(forms.Form):
    """A note on an order."""

    text = forms.CharField(
        label="Note",
        max_length=4000,
        widget=forms.Textarea(attrs={"rows": 3}),
        error_messages={"required": "Write the note first."},
    )
    token = forms.CharField(widget=forms.HiddenInput, max_length=64)
