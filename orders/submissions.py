"""One press of a button does one thing, however often the form arrives.

Every form that creates something carries a random token. The first arrival does the work and keeps where it led; every
repeat is answered with the same address. A token with another content is a mistake and is refused.
"""

import hashlib
import re
import secrets
from collections.abc import Callable
from typing import cast

from django.db import IntegrityError, transaction
from django.http import HttpRequest

from orders.models import Seller, Submission
from orders.scoping import SellerRequest

LONGEST = 64
TOKEN = re.compile(rf"[A-Za-z0-9_-]{{1,{LONGEST}}}")
type Work = Callable[[], str]


class OtherContent(Exception):
    """The token of one form came back with the content of another, or there was none."""


def new_token() -> str:
    return secrets.token_urlsafe(24)


def once(request: HttpRequest, work: Work, *, seller: Seller | None = None, step: str = "") -> str:
    """Do `work` for the token of the form that was sent at most once and return the address that it led to.

    The token counts for the seller of the request; `seller` is the one that staff act for. `step` names one of several
    things that a form does, each of them once.
    Raises OtherContent, and whatever `work` raises; then nothing is kept and the form may be sent again.
    """
    token = request.POST.get("token", "")
    if not TOKEN.fullmatch(token):
        raise OtherContent
    # A full stop is in no token of a form, so that a step is never taken for another form.
    token = f"{token}.{step}" if step else token
    if len(token) > LONGEST:
        raise OtherContent
    digest = _digest(request)
    seller = seller or cast(SellerRequest, request).seller
    with transaction.atomic():
        try:
            # The unique constraint is the lock: a second arrival waits here until the first one is committed.
            with transaction.atomic():
                submission = Submission.objects.create(seller=seller, token=token, body_sha256=digest)
        except IntegrityError:
            return _replay(seller, token, digest)
        submission.location = work()
        submission.save(update_fields=["location"])
        return submission.location


def _replay(seller: Seller, token: str, digest: str) -> str:
    earlier = Submission.objects.get(seller=seller, token=token)
    if earlier.body_sha256 != digest:
        raise OtherContent
    return earlier.location


def _digest(request: HttpRequest) -> str:
    """Of the address and all fields: a button sends nothing but its token, and what it asks for lies in the address."""
    pairs = sorted((key, value) for key, values in request.POST.lists() if key != "csrfmiddlewaretoken" for value in values)
    return hashlib.sha256(repr((request.path, pairs)).encode()).hexdigest()
