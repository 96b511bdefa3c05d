"""What staff may do to a seller's order: four named verbs of the lifecycle, each with a permission and a reason.

A button shows what is allowed now and permitted; the POST asks for both again with the order locked. django-fsm's admin mixin is not
used: it runs a forged POST without asking for permission.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django_fsm import TransitionNotAllowed

from orders import lifecycle, submissions
from orders.failures import Catalogue, why_not_retry
from orders.lifecycle import Refusal
from orders.models import Order, User
from orders.permissions import Answer, StaffRights, can_close, can_delete, can_retry, can_stop_waiting

STAFF = StaffRights()


@dataclass(frozen=True, slots=True)
class Move:
    """One verb: its word in addresses and permissions, its button, what the page says it does, when the order allows it."""

    name: str
    label: str
    does: str
    done: str
    allowed: Callable[[Order], Answer]
    verb: Callable[..., Order]

    @property
    def permission(self) -> str:
        return f"orders.{self.name}_order"


def _can_retry(order: Order) -> Answer:
    return can_retry(order, STAFF, why_not_retry(Catalogue().explain(order), by_staff=True))


MOVES = (
    Move(
        "retry",
        "Retry",
        "The order goes to its vendors again, as a new attempt with new keys. What they sell then is bought and billed.",
        "was sent again",
        _can_retry,
        lifecycle.retry,
    ),
    Move(
        "close",
        "Close order",
        "The order moves to Historical as Completed with Errors, with the vendor’s reason. Nothing was bought by it.",
        "is closed",
        lambda order: can_close(order, STAFF),
        lifecycle.close,
    ),
    Move(
        "stop",
        "Stop waiting",
        "The order is not sent: it becomes Provisioning Failed. It works only while nothing was sent.",
        "waits no more",
        lambda order: can_stop_waiting(order, STAFF),
        lifecycle.stop_waiting,
    ),
    Move(
        "remove",
        "Delete from cart",
        "The order moves to Historical as Deleted. Nothing went to a vendor.",
        "was deleted",
        lambda order: can_delete(order, STAFF),
        lifecycle.delete,
    ),
)


class ReasonForm(forms.Form):
    reason = forms.CharField(
        label="Why",
        max_length=200,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="The seller reads it in the order’s timeline.",
        error_messages={"required": "Say why; the seller reads it in the timeline."},
    )


def offered(request: HttpRequest, order: Order) -> list[dict[str, str]]:
    """The buttons: what this order allows now and this person may."""
    loaded = Order.objects.for_list().get(pk=order.pk)
    return [
        {"label": move.label, "url": reverse(f"admin:orders_order_{move.name}", args=[order.pk])}
        for move in MOVES
        if request.user.has_perm(move.permission) and move.allowed(loaded)
    ]


def move_page(model_admin: Any, move: Move, request: HttpRequest, object_id: str) -> HttpResponse:
    """GET: what the verb does, and a box for the reason. POST: do it, once a press. 403 without permission, 409 when it can't be done."""
    if request.method not in {"GET", "HEAD", "POST"}:
        return HttpResponseNotAllowed(["GET", "HEAD", "POST"])
    if not model_admin.has_view_permission(request) or not request.user.has_perm(move.permission):
        raise PermissionDenied
    order = model_admin.get_object(request, unquote(object_id))
    if order is None:
        raise Http404
    form = ReasonForm(request.POST if request.method == "POST" else None)
    if request.method != "POST":
        answer = move.allowed(Order.objects.for_list().get(pk=order.pk))
        return _page(model_admin, move, request, order, form, "" if answer else answer.reason, 200 if answer else 409)
    if not form.is_valid():
        return _page(model_admin, move, request, order, form, "", 422)
    try:
        return redirect(
            submissions.once(request, lambda: _do(model_admin, move, request, order, form.cleaned_data["reason"]), seller=order.seller)
        )
    except submissions.OtherContent:
        return _page(model_admin, move, request, order, form, "This form was sent before with other content. Open it again.", 422)
    except Refusal as refusal:
        return _page(model_admin, move, request, order, form, str(refusal), 409)
    except TransitionNotAllowed:
        return _page(model_admin, move, request, order, form, "Somebody else was faster: the order is in another status now.", 409)


def _do(model_admin: Any, move: Move, request: HttpRequest, order: Order, reason: str) -> str:
    """Ask once more with the order locked, then act and say so. Raises Refusal."""
    assert isinstance(request.user, User)
    with transaction.atomic():
        lifecycle.lock(order)
        answer = move.allowed(Order.objects.for_list().get(pk=order.pk))
        if not answer:
            raise Refusal(answer.reason)
        move.verb(order, by=request.user, reason=reason)
        model_admin.log_change(request, order, f"{move.label}: {reason}")
    messages.success(request, f"Order {order.number} {move.done}.")
    return reverse("admin:orders_order_change", args=[order.pk])


def _page(model_admin: Any, move: Move, request: HttpRequest, order: Order, form: ReasonForm, trouble: str, status: int) -> HttpResponse:
    context = {
        **model_admin.admin_site.each_context(request),
        "title": f"{move.label}: {order.number}",
        "opts": model_admin.opts,
        "order": order,
        "move": move,
        "form": form,
        "trouble": trouble,
        # A form that comes back refused did nothing, so the next press is a new one.
        "token": submissions.new_token(),
    }
    return TemplateResponse(request, "admin/orders/order/move.html", context, status=status)
