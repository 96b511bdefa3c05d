from django.contrib.admin import AdminSite
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse


class StaffSite(AdminSite):
    """Django admin; staff sign in by the portal's own page, so that one throttle guards both doors."""

    site_header = "Seller Portal staff"
    site_title = "Seller Portal"
    index_title = "Staff"

    def login(self, request: HttpRequest, extra_context: dict[str, object] | None = None) -> HttpResponse:
        return redirect_to_login(request.GET.get("next") or "/admin/")
