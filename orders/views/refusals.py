"""Answers to what can't be done now: the page of the order as it is, with the reason on top."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from orders.models import Order
from orders.scoping import SellerRequest
from orders.views.order_page import order_page, scoped


def conflict(request: SellerRequest, order: Order, reason: str) -> HttpResponse:
    """409: somebody else acted, or the order is not in a state for this. Shows what it is now."""
    messages.error(request, reason)
    return order_page(request, scoped(request, order.number), status=409)


def other_content(request: HttpRequest) -> HttpResponse:
    """422: the token of one form came with the content of another."""
    text = "This form was sent before with other content. Go back, reload the page, and send it again: nothing is done twice."
    return render(request, "error.html", {"title": "Sent before", "text": text}, status=422)
