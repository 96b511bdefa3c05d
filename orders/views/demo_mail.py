"""The demo's mails: what would have been sent, readable in full."""

from django.conf import settings
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from orders.models import Role, SentMail
from orders.scoping import SellerRequest

PAGE = 25


@require_safe
def sent(request: SellerRequest) -> HttpResponse:
    """Of the viewer's own seller, newest first. A mail with a link that lets somebody in is for seller admins."""
    if not settings.IS_LOCAL:
        raise Http404
    mails = SentMail.objects.filter(seller=request.seller)
    if request.membership.role != Role.ADMIN:
        mails = mails.filter(is_private=False)
    before = request.GET.get("before", "")
    if before.isascii() and before.isdecimal() and len(before) < 18:
        mails = mails.filter(pk__lt=int(before))
    found = list(mails[: PAGE + 1])
    older = found[PAGE - 1].pk if len(found) > PAGE else None
    return render(request, "demo_mail.html", {"mails": found[:PAGE], "older": older, "is_first": not before})
