"""Which seller a request speaks for. Every query of a page begins from request.seller; nothing of it comes from the request's data."""

from collections.abc import Callable
from typing import Any
from zoneinfo import ZoneInfo

from django.contrib.auth.middleware import LoginRequiredMiddleware
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django_htmx.middleware import HtmxDetails

from orders import formats
from orders.models import Membership, Order, Seller, User


class SellerRequest(HttpRequest):
    """A request of a signed-in member of a seller."""

    user: User
    seller: Seller
    membership: Membership
    htmx: HtmxDetails


class SignedInMiddleware(LoginRequiredMiddleware):
    """Sends who is not signed in to sign in, and back to a page that opens.

    A session may end while somebody types: a button's address answers no GET, so the way back leads to the order it was on.
    Of an htmx request the whole page goes to sign in, not the part that asked.
    """

    def handle_no_permission(self, request: HttpRequest, view_func: Any) -> HttpResponse:  # type: ignore[override]
        match = request.resolver_match
        if request.method in {"GET", "HEAD"} and not request.headers.get("HX-Request"):
            return redirect_to_login(request.get_full_path())
        number = match.kwargs.get("number") if match else None
        target = reverse("orders:order-detail", args=[number]) if number else reverse("orders:order-list")
        answer = redirect_to_login(target)
        if request.headers.get("HX-Request"):
            return HttpResponse(status=204, headers={"HX-Redirect": answer.url})
        return answer


class SellerMiddleware:
    """Sets request.seller and request.membership on the portal's own pages, or answers in their place.

    A role or a seller that was switched off counts from the next request on: nothing of this is kept in the session.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        # Threads are used again: what the last request left behind is nobody's.
        _leave()
        try:
            response = self.get_response(request)
        finally:
            _leave()
        if request.user.is_authenticated:
            # Pages of a seller are nobody else's: no proxy and no Back button of a signed-out browser shows them.
            response.headers.setdefault("Cache-Control", "no-store, private")
        return response

    def process_view(self, request: HttpRequest, view: Any, _args: Any, _kwargs: Any) -> HttpResponse | None:
        match = request.resolver_match
        if match is None or match.app_name != "orders" or not getattr(view, "login_required", True):
            return None
        assert isinstance(request.user, User), "SignedInMiddleware lets nobody else through."
        membership = Membership.objects.select_related("seller").filter(user=request.user, is_active=True, seller__is_active=True).first()
        if membership is None:
            return render(request, "no_seller.html", status=403)
        request.membership, request.seller = membership, membership.seller  # type: ignore[attr-defined]
        timezone.activate(ZoneInfo(membership.seller.time_zone))
        formats.activate(membership.seller.language)
        return None


def _leave() -> None:
    timezone.deactivate()
    formats.deactivate()


def seller_context(request: HttpRequest) -> dict[str, object]:
    """What every page of the portal shows: the seller, the role, and how many orders need attention."""
    seller: Seller | None = getattr(request, "seller", None)
    if seller is None:
        return {}
    membership: Membership = request.membership  # type: ignore[attr-defined]
    attention = Order.objects.for_seller(seller).filter(needs_attention=True)[:100].count()
    return {"seller": seller, "membership": membership, "attention_count": attention}
