"""What vendors told us unasked: to read."""

from django.contrib import admin

from orders.admin.site import ReadOnlyAdmin, staff_page
from orders.models import VendorEvent
from orders.vendors.webhooks import customer_of, name_of


@staff_page(VendorEvent)
class VendorEventAdmin(ReadOnlyAdmin):
    list_display = ("received_at", "account", "event_name", "state", "detail")
    list_filter = ("state", "account")
    list_select_related = ("account__vendor",)
    fields = ("account", "event_name", "customer", "received_at", "state", "detail", "handled_at", "headers", "words")
    readonly_fields = fields

    @admin.display(description="Event")
    def event_name(self, event: VendorEvent) -> str:
        return name_of(bytes(event.body))[:100]

    @admin.display(description="Vendor’s customer")
    def customer(self, event: VendorEvent) -> str:
        return customer_of(bytes(event.body)) or "None named."

    @admin.display(description="As received")
    def words(self, event: VendorEvent) -> str:
        return bytes(event.body).decode("utf-8-sig", errors="replace")
