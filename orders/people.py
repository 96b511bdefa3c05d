"""The people of a seller: invitations, roles, leaving and coming back.

Each verb is one transaction behind a lock on the seller's row, so that two people who remove each other at the same moment
still leave an admin. Source of the rules: product.md section 3. A link is never kept: only its hash is.
"""

import secrets as random
from collections.abc import Iterable
from datetime import timedelta
from zoneinfo import ZoneInfo

from django.db import transaction
from django.db.models import QuerySet
from django.urls import reverse

from orders import clock, formats, mail, secrets
from orders.models import Invitation, Membership, Role, Seller, SettingsChange, User

INVITATION_LASTS = timedelta(days=7)
# More are a mistake, or somebody who sends mails in our name.
MOST_WAITING = 50
LAST_ADMIN = "This is the last seller admin. Make somebody else a seller admin first."


class Refusal(Exception):
    """What can't be done with a person now. The text is a sentence for whoever asked."""


# --- invitations


@transaction.atomic
def invite(seller: Seller, email: str, role: str, *, by: User) -> tuple[Invitation, str]:
    """A new invitation and the token of its link; an earlier one to the same address no longer works.

    Raises Refusal for somebody who works for the seller already.
    """
    _lock(seller)
    email = email.lower()
    if _active(seller).filter(user__email=email).exists():
        raise Refusal("This person works here already.")
    now, token = clock.now(), random.token_urlsafe(32)
    if seller.invitations.waiting().exclude(email=email)[:MOST_WAITING].count() >= MOST_WAITING:
        raise Refusal(f"{MOST_WAITING} invitations wait already. Take some back first.")
    replaced = seller.invitations.waiting().filter(email=email).update(revoked_at=now)
    invitation = Invitation.objects.create(
        seller=seller,
        email=email,
        role=role,
        token_sha256=secrets.digest(token),
        invited_by=by,
        created_at=now,
        expires_at=now + INVITATION_LASTS,
    )
    again = " again; the earlier link no longer works" if replaced else ""
    _record(seller, "invited", by, f"{email} was invited as {Role(role).label}{again}")
    return invitation, token


def send_invitation(invitation: Invitation, token: str) -> None:
    """Mail the link. Raises mail.NotSent or mail.Unclear; the invitation stays and can be sent again."""
    seller = invitation.seller
    with formats.using(seller.language):
        ends = formats.day(invitation.expires_at.astimezone(ZoneInfo(seller.time_zone)), with_year=True)
    body = "\n".join(
        [
            f"{mail.one_line(invitation.invited_by.name, 120)} invites you to work for {mail.one_line(seller.name, 120)} in the",
            f"Seller Portal as {Role(invitation.role).label}.",
            "",
            "Open this link to choose your name and password:",
            mail.link(reverse("orders:join", args=[token])),
            "",
            f"It works once, until {ends}. If you did not expect it, ignore this mail: nothing happens.",
        ]
    )
    subject = f"{mail.one_line(seller.name, 60)} invites you to the Seller Portal"
    mail.send(mail.PortalMail(seller, invitation.email, subject, body, is_private=True))


@transaction.atomic
def revoke(invitation: Invitation, *, by: User) -> None:
    """Its link no longer works. Does nothing to one that was used or revoked."""
    _lock(invitation.seller)
    if Invitation.objects.waiting().filter(pk=invitation.pk).update(revoked_at=clock.now()):
        _record(invitation.seller, "uninvited", by, f"The invitation of {invitation.email} was taken back")


# --- joining


def invitation_of(token: str) -> Invitation | None:
    """The invitation with this link, used and old ones too."""
    return Invitation.objects.select_related("seller").filter(token_sha256=secrets.digest(token)).first()


def why_not_join(invitation: Invitation) -> str:
    """Why the link lets nobody in, as a sentence; empty when it does."""
    if invitation.accepted_at:
        return "This invitation was used. Sign in with your e-mail."
    if invitation.revoked_at or not invitation.seller.is_active:
        return "This invitation was taken back. Ask whoever invited you for a new one."
    if invitation.expires_at <= clock.now():
        return "This invitation is too old. Ask whoever invited you for a new one."
    person = invitee(invitation)
    if person is None:
        return ""
    membership = Membership.objects.filter(user=person).first()
    works = membership is not None and membership.is_active
    if works and not person.is_active:
        return "This account was switched off by the staff of the portal. Ask them."
    if works and membership and membership.seller_id == invitation.seller_id:
        return "You work here already. Sign in with your e-mail."
    if person.is_staff or works:
        return "This e-mail belongs to somebody who works elsewhere in this portal. Ask for an invitation to another address."
    return ""


def invitee(invitation: Invitation) -> User | None:
    """Who has the address already."""
    return User.objects.filter(email=invitation.email).first()


def needs_own_password(invitation: Invitation) -> bool:
    """Somebody who can sign in joins with the password that he has; a link alone never replaces it."""
    person = invitee(invitation)
    return person is not None and person.is_active


@transaction.atomic
def join(invitation: Invitation, *, name: str = "", password: str = "") -> User:
    """Make the invited person a member, once. `name` and `password` are of somebody who can't sign in yet.

    Raises Refusal when the link does not let him in (any more).
    """
    _lock(invitation.seller)
    invitation = Invitation.objects.select_related("seller").get(pk=invitation.pk)
    if why := why_not_join(invitation):
        raise Refusal(why)
    now = clock.now()
    invitation.seller.invitations.waiting().filter(email=invitation.email).exclude(pk=invitation.pk).update(revoked_at=now)
    Invitation.objects.filter(pk=invitation.pk).update(accepted_at=now)
    person = invitee(invitation)
    if person is None:
        person = User.objects.create_user(invitation.email, password, name=name)
    elif not person.is_active:
        person.name, person.is_active = name, True
        person.set_password(password)
        person.save()
    Membership.objects.update_or_create(user=person, defaults={"seller": invitation.seller, "role": invitation.role, "is_active": True})
    _record(invitation.seller, "joined", person, f"{person.name} joined as {Role(invitation.role).label}")
    return person


# --- members


@transaction.atomic
def change_role(membership: Membership, role: str, *, by: User) -> Membership:
    """Give a member another role; it counts from his next request on. Raises Refusal for the last seller admin."""
    membership = _locked(membership)
    if not membership.is_active:
        raise Refusal("This person no longer works here.")
    if membership.role == role:
        return membership
    if membership.role == Role.ADMIN:
        _keep_an_admin(membership)
    before, membership.role = membership.role, role
    membership.save(update_fields=["role"])
    _record(membership.seller, "role", by, f"{membership.user.name}: {Role(before).label} became {Role(role).label}")
    return membership


@transaction.atomic
def remove(membership: Membership, *, by: User) -> Membership:
    """End a member's access at once, in every browser. Raises Refusal for the last seller admin; twice does nothing more."""
    membership = _locked(membership)
    if not membership.is_active:
        return membership
    if membership.role == Role.ADMIN:
        _keep_an_admin(membership)
    membership.is_active = False
    membership.save(update_fields=["is_active"])
    if not membership.user.is_staff:
        # Who can't sign in has no session either: Django asks at every request.
        membership.user.is_active = False
        membership.user.save(update_fields=["is_active"])
    _record(membership.seller, "removed", by, f"{membership.user.name} ({membership.user.email}) was removed")
    return membership


@transaction.atomic
def bring_back(membership: Membership, *, by: User) -> Membership:
    """Undo of remove: the same person, role and password. Twice does nothing more."""
    membership = _locked(membership)
    if membership.is_active:
        return membership
    membership.is_active = membership.user.is_active = True
    membership.save(update_fields=["is_active"])
    membership.user.save(update_fields=["is_active"])
    _record(membership.seller, "restored", by, f"{membership.user.name} ({membership.user.email}) was brought back")
    return membership


@transaction.atomic
def add(membership: Membership, *, by: User) -> Membership:
    """Save a new member whom staff chose among those who have an account; sellers invite."""
    _lock(membership.seller)
    membership.save(force_insert=True)
    _record(membership.seller, "joined", by, f"{membership.user.name} was added as {membership.get_role_display()}")
    return membership


def write_down(before: User, after: User, *, by: User) -> None:
    """For the seller that a person works for: what staff changed of his account."""
    membership = Membership.objects.filter(user=after).select_related("seller").first()
    if membership is None:
        return
    for label, was, now in (("name", before.name, after.name), ("e-mail", before.email, after.email)):
        if was != now:
            _record(membership.seller, "account", by, f"{before.name}: {label} {was} became {now}")
    if before.is_active != after.is_active:
        _record(membership.seller, "account", by, f"{after.name} ({after.email}) can {'' if after.is_active else 'not '}sign in now")
    if before.password != after.password:
        _record(membership.seller, "account", by, f"{after.name} ({after.email}) was given another password")


def would_lose_admins(seller: Seller, wanted: Iterable[Membership]) -> bool:
    """Whether the seller has an admin and none were left, were these saved. Locks the seller until the transaction ends."""
    _lock(seller)
    admins = set(_active(seller).filter(role=Role.ADMIN).values_list("pk", flat=True))
    left = set(admins)
    for membership in wanted:
        left.discard(membership.pk)
        if membership.is_active and membership.role == Role.ADMIN and _can_sign_in_then(membership):
            left.add(membership.pk)
    return bool(admins) and not left


def _can_sign_in_then(membership: Membership) -> bool:
    """Who is brought back is switched on; nobody else is."""
    return membership.user.is_active or not Membership.objects.get(pk=membership.pk).is_active


def _keep_an_admin(leaving: Membership) -> None:
    if not _active(leaving.seller).filter(role=Role.ADMIN).exclude(pk=leaving.pk).exists():
        raise Refusal(LAST_ADMIN)


def _active(seller: Seller) -> QuerySet[Membership]:
    """Who can work for the seller now."""
    return Membership.objects.filter(seller=seller, is_active=True, user__is_active=True)


def _locked(membership: Membership) -> Membership:
    """The membership as it is now, with nobody else changing people of its seller."""
    _lock(membership.seller)
    return Membership.objects.select_related("seller", "user").get(pk=membership.pk)


def _lock(seller: Seller) -> None:
    Seller.objects.select_for_update().get(pk=seller.pk)


def _record(seller: Seller, name: str, actor: User, text: str) -> None:
    SettingsChange.objects.create(seller=seller, name=name, actor=actor, actor_name=actor.acts_as, text=text[:500], at=clock.now())
