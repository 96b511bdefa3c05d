"""People of a seller: who works for him, whom he invited, and the page behind an invitation's link."""

from functools import wraps
from typing import Any, Protocol

from django.contrib import messages
from django.contrib.auth import authenticate, login, logout
from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from orders import clock, mail, people, permissions, submissions
from orders.forms.orders import errors_of
from orders.forms.people import InviteForm, JoinForm, OwnPasswordForm, RoleForm
from orders.models import Invitation, Membership
from orders.scoping import SellerRequest
from orders.views.errors import forbidden
from orders.views.refusals import other_content

REMOVED_SHOWN = 20


@require_http_methods(["GET", "HEAD", "POST"])
def people_list(request: SellerRequest) -> HttpResponse:
    """GET: everybody who works for the seller and who is invited. POST: invite somebody by mail."""
    if refused := _not_for(request):
        return refused
    if request.method != "POST":
        return _page(request, InviteForm())
    form = InviteForm(request.POST)
    if not form.is_valid():
        return _page(request, form, status=422)
    try:
        return _invite(request, form.cleaned_data["email"], form.cleaned_data["role"])
    except people.Refusal as refusal:
        form.add_error("email", str(refusal))
        return _page(request, form, status=422)


def _invite(request: SellerRequest, email: str, role: str) -> HttpResponse:
    """Invite, then mail the link outside of the transaction. Raises people.Refusal."""
    made: list[tuple[Invitation, str]] = []

    def work() -> str:
        made.append(people.invite(request.seller, email, role, by=request.user))
        return reverse("orders:people")

    try:
        location = submissions.once(request, work)
    except submissions.OtherContent:
        return other_content(request)
    for invitation, token in made:
        _send(request, invitation, token)
    return redirect(location)


def _send(request: SellerRequest, invitation: Invitation, token: str) -> None:
    try:
        people.send_invitation(invitation, token)
    except mail.NotSent:
        messages.error(
            request, f"{invitation.email} is invited, and the mail did not leave: the mail server can’t be reached. Send it again later."
        )
    except mail.Unclear:
        messages.error(request, f"{invitation.email} is invited. It is not known whether the mail left: ask, or send it again.")
    else:
        messages.success(request, f"{invitation.email} was invited.")


@require_POST
def resend(request: SellerRequest, pk: int) -> HttpResponse:
    """A new link to the same address with the same role; the old one no longer works."""
    invitation = _invitation(request, pk)
    if refused := _not_for(request):
        return refused
    if invitation.accepted_at or invitation.revoked_at:
        return _refused(request, "This invitation was used or taken back meanwhile.")
    try:
        return _invite(request, invitation.email, invitation.role)
    except people.Refusal as refusal:
        return _refused(request, str(refusal))


@require_POST
def revoke(request: SellerRequest, pk: int) -> HttpResponse:
    """The link of the invitation no longer works."""
    invitation = _invitation(request, pk)
    if refused := _not_for(request):
        return refused
    people.revoke(invitation, by=request.user)
    messages.success(request, f"The invitation of {invitation.email} was taken back.")
    return redirect("orders:people")


@require_POST
def role(request: SellerRequest, pk: int) -> HttpResponse:
    """Another role for somebody; for oneself too, as long as an admin stays."""
    membership = _member(request, pk)
    if refused := _not_for(request):
        return refused
    form = RoleForm(request.POST)
    if not form.is_valid():
        return _refused(request, "Choose one of the roles.")
    try:
        changed = people.change_role(membership, form.cleaned_data["role"], by=request.user)
    except people.Refusal as refusal:
        return _refused(request, str(refusal))
    messages.success(request, f"{changed.user.name} is {changed.get_role_display()} now.")
    # Who is no admin any more may not see this page.
    is_left = changed.user_id == request.user.pk and not permissions.can_manage(changed)
    return redirect("orders:order-list" if is_left else "orders:people")


@require_http_methods(["GET", "HEAD", "POST"])
def remove(request: SellerRequest, pk: int) -> HttpResponse:
    """GET: asks whoever is about to remove himself, who can't undo it. POST: remove; access ends at once."""
    membership = _member(request, pk)
    if refused := _not_for(request):
        return refused
    is_me = membership.user_id == request.user.pk
    if request.method != "POST":
        return render(request, "orders/person_remove.html", {"person": membership, "is_me": is_me})
    try:
        removed = people.remove(membership, by=request.user)
    except people.Refusal as refusal:
        return _refused(request, str(refusal))
    if is_me:
        logout(request)
        messages.success(request, f"You no longer work for {removed.seller.name}.")
        return redirect("login")
    messages.success(request, f"{removed.user.name} was removed. You can bring them back below.")
    return redirect("orders:people")


@require_POST
def restore(request: SellerRequest, pk: int) -> HttpResponse:
    """Undo of remove."""
    membership = _member(request, pk)
    if refused := _not_for(request):
        return refused
    back = people.bring_back(membership, by=request.user)
    messages.success(request, f"{back.user.name} works here again, as {back.get_role_display()}.")
    return redirect("orders:people")


def _not_for(request: SellerRequest) -> HttpResponse | None:
    allowed = permissions.can_manage(request.membership)
    return None if allowed else forbidden(request, Exception(allowed.reason))


def _member(request: SellerRequest, pk: int) -> Membership:
    return get_object_or_404(Membership.objects.select_related("user", "seller"), seller=request.seller, pk=pk)


def _invitation(request: SellerRequest, pk: int) -> Invitation:
    return get_object_or_404(request.seller.invitations.select_related("seller"), pk=pk)


def _refused(request: SellerRequest, reason: str) -> HttpResponse:
    """Back to the list, which says why: a button's address is no page that could be loaded again."""
    messages.error(request, reason)
    return redirect("orders:people")


def _page(request: SellerRequest, form: InviteForm, *, status: int = 200) -> HttpResponse:
    members = request.seller.memberships.select_related("user").order_by("user__name", "pk")
    working = [member for member in members if member.is_active]
    errors = errors_of(form) if form.is_bound else []
    if errors:
        form.fields["email"].widget.attrs["autofocus"] = True
    context = {
        "form": form,
        "errors": errors,
        "members": [(member, RoleForm.of(member)) for member in working],
        "removed": [member for member in members if not member.is_active][:REMOVED_SHOWN],
        "invitations": request.seller.invitations.waiting().select_related("invited_by"),
        "now": clock.now(),
        "token": submissions.new_token(),
    }
    return render(request, "orders/people.html", context, status=status)


# --- the page behind the link


class TokenView(Protocol):
    def __call__(self, request: HttpRequest, token: str) -> HttpResponse: ...


def holds_a_secret(view: TokenView) -> TokenView:
    """The address lets somebody in: it is kept by no cache and no search engine, and no other site is told it."""

    @wraps(view)
    def guarded(request: HttpRequest, token: str) -> HttpResponse:
        response = view(request, token)
        response["Referrer-Policy"] = "strict-origin"
        response["Cache-Control"] = "no-store, private"
        response["X-Robots-Tag"] = "noindex, nofollow"
        return response

    return guarded


@login_not_required
@require_http_methods(["GET", "HEAD", "POST"])
@holds_a_secret
def join(request: HttpRequest, token: str) -> HttpResponse:
    """GET: whom the invitation is from, and the form; changes nothing. POST: join, once, and be signed in."""
    invitation = people.invitation_of(token)
    if invitation is None:
        raise Http404
    if why := people.why_not_join(invitation):
        return _closed(request, invitation, why)
    if request.user.is_authenticated:
        return render(request, "join.html", {"invitation": invitation}, status=200 if request.method != "POST" else 409)
    form = _join_form(request, invitation)
    if request.method != "POST" or not form.is_valid():
        return _join_page(request, invitation, form)
    data = form.cleaned_data
    try:
        person = people.join(invitation, name=data.get("name", ""), password=data["password"])
    except people.Refusal as refusal:
        return _closed(request, invitation, str(refusal))
    login(request, person, backend="django.contrib.auth.backends.ModelBackend")
    messages.success(request, f"Welcome to {invitation.seller.name}.")
    return redirect("orders:order-list")


def _join_form(request: HttpRequest, invitation: Invitation) -> JoinForm | OwnPasswordForm:
    data: Any = request.POST if request.method == "POST" else None
    if people.needs_own_password(invitation):
        form = OwnPasswordForm(data)
        # Counts wrong ones as the sign-in page does.
        is_his = form.is_bound and form.is_valid() and authenticate(request, username=invitation.email, **form.cleaned_data)
        if form.is_valid() and not is_his:
            form.add_error("password", "This is not the password of this e-mail.")
        return form
    return JoinForm(data, invitation=invitation)


def _join_page(request: HttpRequest, invitation: Invitation, form: JoinForm | OwnPasswordForm) -> HttpResponse:
    errors = errors_of(form) if form.is_bound else []
    first = next((name for name in form.fields if name in form.errors), next(iter(form.fields)))
    form.fields[first].widget.attrs["autofocus"] = True
    return render(request, "join.html", {"invitation": invitation, "form": form, "errors": errors}, status=422 if errors else 200)


def _closed(request: HttpRequest, invitation: Invitation, why: str) -> HttpResponse:
    """410: the link lets nobody in any more, and says why to whoever holds it."""
    return render(request, "join.html", {"invitation": invitation, "why": why}, status=410)
