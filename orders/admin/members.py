"""Who works for a seller, as staff change it: by the verbs of people.py, so that the last admin stays and the seller reads of it."""

from typing import TYPE_CHECKING, Any

from django import forms
from django.core.exceptions import ValidationError
from django.forms.models import BaseInlineFormSet
from django.http import HttpRequest

from orders import people
from orders.admin.site import StaffInline
from orders.models import Membership, Role, User

if TYPE_CHECKING:
    FormBase = forms.ModelForm[Membership]
    SetBase = BaseInlineFormSet[Membership, Any, forms.ModelForm[Membership]]
else:
    FormBase, SetBase = forms.ModelForm, BaseInlineFormSet


class MembershipForm(FormBase):
    """Role and access of one person. Whose they are stays: who leaves a seller is invited by the next one."""

    class Meta:
        model = Membership
        fields = ("user", "seller", "role", "is_active")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in {"user", "seller"} & set(self.fields):
            self.fields[name].disabled = bool(self.instance.pk)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if "role" in self.changed_data and self.instance.pk and not cleaned.get("is_active"):
            self.add_error("role", "This person does not work here any more. A role is for somebody who does.")
        return cleaned


class MembershipSet(SetBase):
    """The rows of one seller, or the one of a person. `save_by` is in place of save()."""

    def clean(self) -> None:
        """Asked while the seller is locked, so that what is allowed now still is when it is saved."""
        super().clean()
        if any(self.errors):
            return
        wanted = [form.instance for form in self.initial_forms if form.has_changed()]
        for seller in {membership.seller for membership in wanted}:
            if people.would_lose_admins(seller, [membership for membership in wanted if membership.seller_id == seller.pk]):
                raise ValidationError(people.LAST_ADMIN)

    def save_by(self, actor: User) -> None:
        """Do what was changed, promotions first: two people may change places. The caller holds a transaction."""
        self.save(commit=False)
        for membership in sorted((row for row, _ in self.changed_objects), key=lambda row: not _is_admin(row)):
            _change(membership, actor)
        for membership in self.new_objects:
            people.add(membership, by=actor)


def _change(wanted: Membership, actor: User) -> None:
    if wanted.is_active:
        people.bring_back(wanted, by=actor)
        people.change_role(wanted, wanted.role, by=actor)
    else:
        people.remove(wanted, by=actor)


def _is_admin(membership: Membership) -> bool:
    return membership.is_active and membership.role == Role.ADMIN


class OfPerson(StaffInline):
    """The seller that a person works for: one at most."""

    model = Membership
    form, formset = MembershipForm, MembershipSet
    fields = ("seller", "role", "is_active")
    autocomplete_fields = ("seller",)
    max_num = 1


class OfSeller(StaffInline):
    """The people of a seller; whoever leaves is switched off."""

    model = Membership
    form, formset = MembershipForm, MembershipSet
    fields = ("user", "role", "is_active")
    autocomplete_fields = ("user",)

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("user", "seller")


class SavesMembers:
    """For the pages that hold such rows."""

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        assert isinstance(request.user, User)
        formset.save_by(request.user)
