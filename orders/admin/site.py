"""The staff's site and what all its pages share: nothing is ever deleted, and most is only read."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

from django.contrib import admin as django_admin
from django.contrib.admin import AdminSite, ModelAdmin, StackedInline, TabularInline
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.decorators import method_decorator
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache

if TYPE_CHECKING:
    # Generic for the type checker only: Django's classes take no parameter at run time.
    AnyModelAdmin = ModelAdmin[Any]
    AnyInline = TabularInline[Any, Any]
    AnyStack = StackedInline[Any, Any]
else:
    AnyModelAdmin = ModelAdmin
    AnyInline = TabularInline
    AnyStack = StackedInline

Admin = TypeVar("Admin", bound=type[AnyModelAdmin])
_PAGES: list[tuple[type[Model], type[AnyModelAdmin]]] = []


def staff_page(model: type[Model]) -> Callable[[Admin], Admin]:
    """In place of admin.register. Django imports this package while it makes the site, and what is registered on the
    half-made one would be lost; so the classes wait in a list until the site takes them."""

    def remember(admin_class: Admin) -> Admin:
        _PAGES.append((model, admin_class))
        return admin_class

    return remember


class StaffSite(AdminSite):
    """Django admin; staff sign in by the portal's own page, so that one throttle guards both doors.

    Who may do what: a superuser everything that the pages offer; other staff what their groups permit.
    """

    site_header = "Seller Portal staff"
    site_title = "Seller Portal"
    index_title = "Staff"
    site_url = None

    def __init__(self, name: str = "admin") -> None:
        super().__init__(name)
        # Also for pages of other apps: a row is deactivated, archived or kept.
        self.disable_action("delete_selected")
        for model, admin_class in _PAGES:
            self.register(model, admin_class)

    def register(self, model_or_iterable: Any, admin_class: type[AnyModelAdmin] | None = None, **options: Any) -> None:
        """Ours come first; an app that brings a page for the same model, as django.contrib.auth does for groups, is too late."""
        models: Iterable[type[Model]] = [model_or_iterable] if isinstance(model_or_iterable, type) else model_or_iterable
        super().register([model for model in models if not self.is_registered(model)], admin_class, **options)

    def check(self, app_configs: Any) -> list[Any]:
        """Django makes the site twice while it imports; the first, unfinished one may linger and is nobody's to check."""
        return super().check(app_configs) if django_admin.site == self else []

    @method_decorator(never_cache)
    @method_decorator(login_not_required)
    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """To the portal's sign-in page. Somebody who is signed in and not staff gets a 403: that page would send him back here."""
        wanted = request.GET.get("next", "")
        page = wanted if url_has_allowed_host_and_scheme(wanted, {request.get_host()}, request.is_secure()) else "/admin/"
        if not request.user.is_authenticated:
            return redirect_to_login(page)
        if not self.has_permission(request):
            raise PermissionDenied("This part is for the platform’s staff. Your orders are on the portal.")
        return redirect(page)


class NoDelete:
    """Rows are deactivated, archived or kept; superusers too find no way to delete one."""

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class ReadOnly(NoDelete):
    """Neither added nor changed here, whoever asks: superusers pass every permission, so the page itself refuses."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class StaffAdmin(NoDelete, AnyModelAdmin):
    """A page of ours: long lists are not counted twice, and nothing is deleted."""

    show_full_result_count = False
    list_per_page = 50


class ReadOnlyAdmin(ReadOnly, StaffAdmin):
    """A page to look at."""


class InlineRows:
    """Rows on their owner's page: none is removed, and none is offered unasked."""

    can_delete = False
    extra = 0


class StaffInline(NoDelete, InlineRows, AnyInline):
    """A table of rows to edit."""


class ReadOnlyRows(ReadOnly, InlineRows):
    """Rows to look at. `joined` names what a row shows of other tables."""

    joined: tuple[str, ...] = ()

    def get_queryset(self, request: HttpRequest) -> Any:
        rows: Any = super()
        return rows.get_queryset(request).select_related(*self.joined)


class ReadOnlyInline(ReadOnlyRows, AnyInline):
    """A table of rows to look at."""


class ReadOnlyStack(ReadOnlyRows, AnyStack):
    """Rows to look at that are too wide for a table."""
