"""Orders and what came of them, to read; what staff may do to an order stands in moves.py. Incidents are closed with what was found."""

from functools import partial
from typing import Any

from django.contrib import admin
from django.contrib.admin import SimpleListFilter
from django.db.models import Exists, F, OuterRef
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.text import Truncator

from orders import clock, lifecycle
from orders.admin.moves import MOVES, move_page, offered
from orders.admin.site import ReadOnlyAdmin, ReadOnlyInline, ReadOnlyStack, StaffAdmin, staff_page
from orders.models import (
    Failure,
    Incident,
    Order,
    OrderEvent,
    OrderLine,
    OrderNote,
    PurchaseAttempt,
    StaffVerdict,
    Subscription,
    User,
    Vendor,
    VendorExchange,
)
from orders.statuses import TABLE, OrderStatus, Section

SHORT, LONG = 200, 4000


def vendor_words(text: str, length: int = LONG) -> SafeString:
    """A vendor's own text: hostile until proven otherwise. Escaped, cut, and kept from turning the line around."""
    return format_html('<bdi class="vendor-words">{}</bdi>', Truncator(text).chars(length))


def _label(status: str) -> str:
    return str(OrderStatus(status).label) if status in OrderStatus else status


class SectionFilter(SimpleListFilter):
    title = "section"
    parameter_name = "section"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(section.value, section.value) for section in Section]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        wanted = self.value()
        if wanted is None:
            return queryset
        return queryset.filter(status__in=[status for status, info in TABLE.items() if info.section == wanted])


class VendorFilter(SimpleListFilter):
    """Orders with an item of the vendor."""

    title = "vendor"
    parameter_name = "vendor"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(vendor.code, vendor.name) for vendor in Vendor.objects.all()]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        wanted = self.value()
        if wanted is None:
            return queryset
        return queryset.filter(Exists(OrderLine.objects.filter(order=OuterRef("pk"), offer__vendor__code=wanted)))


class Lines(ReadOnlyInline):
    model = OrderLine
    joined = ("offer", "order")
    fields = ("position", "title", "offer", "quantity", "term", "billing_cycle", "unit_price", "amount", "tax")
    readonly_fields = fields


class Attempts(ReadOnlyInline):
    model = PurchaseAttempt
    joined = ("vendor", "account__vendor", "order")
    fields = ("number", "vendor", "account", "state", "vendor_order_ref", "finished_at", "failures")
    readonly_fields = fields
    show_change_link = True

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).prefetch_related("failures__line")

    def failures(self, attempt: PurchaseAttempt) -> SafeString:
        return format_html_join(
            "", "<p>{} {}</p>", ((failure.code, vendor_words(failure.text, SHORT)) for failure in attempt.failures.all())
        )


class Events(ReadOnlyInline):
    model = OrderEvent
    joined = ("order",)
    fields = ("at", "name", "was", "became", "actor_name", "data")
    readonly_fields = fields

    @admin.display(description="from")
    def was(self, event: OrderEvent) -> str:
        return _label(event.from_status)

    @admin.display(description="to")
    def became(self, event: OrderEvent) -> str:
        return _label(event.to_status)


class Notes(ReadOnlyInline):
    model = OrderNote
    joined = ("order", "author")
    fields = ("at", "author", "text")
    readonly_fields = fields


@staff_page(Order)
class OrderAdmin(ReadOnlyAdmin):
    inlines = (Lines, Attempts, Events, Notes)
    list_display = ("number", "seller", "customer", "status_label", "attention", "changed_at")
    list_filter = (SectionFilter, "status", VendorFilter, "needs_attention", "seller")
    list_select_related = ("seller", "customer")
    search_fields = ("number", "customer__name", "customer__domain")
    search_help_text = "Order number, customer or domain"
    # By key: the lists of sellers have their indexes, this one has the table's.
    ordering = ("-id",)
    fieldsets = (
        (None, {"fields": ("number", "seller", "customer", "kind", "status_label", "section", "status_note", "attention")}),
        ("Content", {"fields": ("reference", "currency", "due_now", "tax_now", "per_month", "per_year", "per_three_years")}),
        ("Links and dates", {"fields": (
            "follow_up_of", "follow_up_kind", "scheduled_for", "scheduled_on", "scheduled_zone",
            "created_by", "created_at", "changed_at", "placed_at", "closed_at",
        )}),
        ("The customer as placed", {"classes": ("collapse",), "fields": ("customer_snapshot",)}),
    )  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("seller", "customer", "created_by", "follow_up_of")

    def get_urls(self) -> list[URLPattern]:
        """The verbs before Django's own pages, whose last one takes any address."""
        moves = [
            path(
                f"<path:object_id>/{move.name}/",
                self.admin_site.admin_view(partial(move_page, self, move)),
                name=f"orders_order_{move.name}",
            )
            for move in MOVES
        ]
        return [*moves, *super().get_urls()]

    def render_change_form(
        self, request: HttpRequest, context: Any, add: bool = False, change: bool = False, form_url: str = "", obj: Any = None
    ) -> HttpResponse:
        return super().render_change_form(
            request, {**context, "moves": offered(request, obj) if obj else []}, add=add, change=change, form_url=form_url, obj=obj
        )

    @admin.display(description="Status", ordering="status")
    def status_label(self, order: Order) -> str:
        return str(order.info.status.label)

    @admin.display(description="Attention")
    def attention(self, order: Order) -> str:
        """In words: the admin's red cross for False would be an alarm where all is well."""
        return "Needed" if order.needs_attention else ""

    @admin.display(description="Section")
    def section(self, order: Order) -> str:
        return order.info.section.value


class Failures(ReadOnlyStack):
    model = Failure
    joined = ("line", "attempt__order", "attempt__vendor")
    fields = (("at", "code", "http_status"), ("field", "line"), "words")
    readonly_fields = ("at", "code", "http_status", "field", "line", "words")

    @admin.display(description="Vendor’s message")
    def words(self, failure: Failure) -> SafeString:
        return vendor_words(failure.text)


class Verdicts(ReadOnlyStack):
    """What staff answered, at a vendor without an API."""

    model = StaffVerdict
    joined = ("line", "by", "attempt__order", "attempt__vendor")
    fields = (("at", "by", "line"), ("is_approved", "vendor_ref"), ("starts_on", "ends_on"), ("code", "words"))
    readonly_fields = ("at", "by", "line", "is_approved", "vendor_ref", "starts_on", "ends_on", "code", "words")

    @admin.display(description="Vendor’s message")
    def words(self, verdict: StaffVerdict) -> SafeString:
        return vendor_words(verdict.text)


class Exchanges(ReadOnlyStack):
    """What was sent and answered; credentials were left out when it was written."""

    model = VendorExchange
    joined = ("attempt__order", "attempt__vendor")
    fields = (("at", "kind", "http_status"), ("method", "path"), "words")
    readonly_fields = ("at", "kind", "http_status", "method", "path", "words")

    @admin.display(description="Body")
    def words(self, exchange: VendorExchange) -> SafeString:
        return vendor_words(exchange.text)


@staff_page(PurchaseAttempt)
class PurchaseAttemptAdmin(ReadOnlyAdmin):
    inlines = (Failures, Verdicts, Exchanges)
    list_display = ("order", "vendor", "number", "state", "account", "created_at")
    list_filter = ("state", "vendor")
    list_select_related = ("order", "vendor", "account__vendor")
    search_fields = ("order__number", "reference", "vendor_order_ref")
    search_help_text = "Order number, our reference or the vendor’s"
    ordering = ("-id",)


@staff_page(Subscription)
class SubscriptionAdmin(ReadOnlyAdmin):
    list_display = ("vendor_ref", "seller", "customer", "offer", "quantity", "status", "ends_at")
    list_filter = ("status", "seller")
    list_select_related = ("seller", "customer", "offer")
    search_fields = ("vendor_ref", "vendor_order_ref", "customer__name")
    ordering = ("-id",)


@staff_page(Incident)
class IncidentAdmin(StaffAdmin):
    """Open ones first, the oldest of them on top. Closing one, with what was found, is all that can be done to it."""

    list_display = ("kind", "order", "at", "is_closed", "closed_at")
    list_filter = (("closed_at", admin.EmptyFieldListFilter), "kind")
    list_select_related = ("order",)
    search_fields = ("kind", "order__number")
    ordering = (F("closed_at").desc(nulls_first=True), "at", "id")
    fields = ("kind", "order_link", "detail", "at", "resolution", "closed_at", "closed_by")
    readonly_fields = ("kind", "order_link", "detail", "at", "closed_at", "closed_by")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """What is closed stays as it was closed."""
        return super().has_change_permission(request, obj) and (obj is None or obj.closed_at is None)

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **options: Any) -> Any:
        form = super().get_form(request, obj, change, **options)
        if field := form.base_fields.get("resolution"):
            field.required = True
            field.help_text = "What was found and done. Saving closes the incident. Staff read it, sellers do not."
        return form

    def save_model(self, request: HttpRequest, obj: Incident, form: Any, change: bool) -> None:
        """Close it. The seller's timeline says that it was looked into, and not what staff wrote."""
        assert isinstance(request.user, User)
        now = clock.now()
        # Only one closes it: a second form that was open meanwhile changes nothing.
        closed = Incident.objects.filter(pk=obj.pk, closed_at=None).update(closed_at=now, closed_by=request.user, resolution=obj.resolution)
        if closed and obj.order:
            lifecycle.record(obj.order, "incident_closed", request.user, kind=obj.kind)

    @admin.display(description="Closed", boolean=False)
    def is_closed(self, incident: Incident) -> str:
        return "Closed" if incident.closed_at else "Open"

    @admin.display(description="Order")
    def order_link(self, incident: Incident) -> SafeString | str:
        if incident.order is None:
            return "None"
        return format_html('<a href="{}">{}</a>', reverse("admin:orders_order_change", args=[incident.order_id]), incident.order)
