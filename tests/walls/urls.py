"""Every address of the site, and who may do what there. A new address must be written into RULES before the suite is green."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from django.contrib import admin
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from django.urls.resolvers import RegexPattern

METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE")
SAFE = ("GET", "HEAD", "OPTIONS")


class Kind(StrEnum):
    PUBLIC = "public"  # anybody, signed in or not
    SELLER_READ = "seller reads"  # every member of a seller
    SELLER_WRITE = "seller writes"  # account managers and seller admins; a viewer gets 403 on every method that the address has
    SELLER_MANAGE = "seller manages"  # seller admins only
    SIGNED_IN = "signed in"  # whoever has a session, with a seller or without
    STAFF = "staff"


@dataclass(frozen=True)
class Rule:
    kind: Kind
    methods: frozenset[str]


def rule(kind: Kind, methods: str) -> Rule:
    return Rule(kind, frozenset(methods.split()))


READ, FORM, ACT = "GET HEAD", "GET HEAD POST", "POST"

RULES = {
    "login": rule(Kind.PUBLIC, FORM),
    "logout": rule(Kind.SIGNED_IN, ACT),
    "orders:healthz": rule(Kind.PUBLIC, READ),
    "orders:home": rule(Kind.SELLER_READ, READ),
    "orders:order-list": rule(Kind.SELLER_READ, READ),
    "orders:order-historical": rule(Kind.SELLER_READ, READ),
    "orders:order-live": rule(Kind.SELLER_READ, READ),
    "orders:order-new": rule(Kind.SELLER_WRITE, FORM),
    "orders:order-detail": rule(Kind.SELLER_READ, READ),
    "orders:order-edit": rule(Kind.SELLER_WRITE, FORM),
    "orders:order-place": rule(Kind.SELLER_WRITE, FORM),
    "orders:order-check": rule(Kind.SELLER_WRITE, ACT),
    "orders:order-retry": rule(Kind.SELLER_WRITE, ACT),
    "orders:order-close": rule(Kind.SELLER_WRITE, FORM),
    "orders:order-delete": rule(Kind.SELLER_WRITE, ACT),
    "orders:order-duplicate": rule(Kind.SELLER_WRITE, ACT),
    "orders:order-undo": rule(Kind.SELLER_WRITE, ACT),
    "orders:order-stop": rule(Kind.SELLER_WRITE, ACT),
    "orders:order-note": rule(Kind.SELLER_WRITE, ACT),
    "orders:order-template": rule(Kind.SELLER_WRITE, FORM),
    "orders:template-list": rule(Kind.SELLER_READ, READ),
    "orders:template-archive": rule(Kind.SELLER_WRITE, ACT),
    "orders:template-restore": rule(Kind.SELLER_WRITE, ACT),
    "orders:order-preview": rule(Kind.SELLER_READ, READ),
    "orders:order-pdf": rule(Kind.SELLER_READ, READ),
    "orders:order-send": rule(Kind.SELLER_WRITE, FORM),
    "orders:order-revise": rule(Kind.SELLER_WRITE, FORM),
    "orders:order-withdraw": rule(Kind.SELLER_WRITE, FORM),
    "orders:order-extend": rule(Kind.SELLER_WRITE, FORM),
    "orders:order-answer": rule(Kind.SELLER_WRITE, FORM),
    "orders:order-agreed": rule(Kind.SELLER_WRITE, FORM),
    "orders:order-remind": rule(Kind.SELLER_WRITE, ACT),
    "orders:order-new-link": rule(Kind.SELLER_WRITE, ACT),
    "orders:order-approve": rule(Kind.SELLER_WRITE, FORM),
    "orders:quote": rule(Kind.PUBLIC, FORM),
    "orders:quote-accept": rule(Kind.PUBLIC, ACT),
    "orders:quote-decline": rule(Kind.PUBLIC, ACT),
    "orders:quote-ask": rule(Kind.PUBLIC, ACT),
    "orders:quote-opened": rule(Kind.PUBLIC, ACT),
    "orders:quote-pdf": rule(Kind.PUBLIC, READ),
    "orders:quote-logo": rule(Kind.PUBLIC, READ),
    "orders:customer-list": rule(Kind.SELLER_READ, READ),
    "orders:order-reprice": rule(Kind.SELLER_WRITE, ACT),
    "orders:offer-list": rule(Kind.SELLER_READ, READ),
    "orders:offer-detail": rule(Kind.SELLER_READ, READ),
    "orders:customer-new": rule(Kind.SELLER_WRITE, FORM),
    "orders:customer-detail": rule(Kind.SELLER_READ, READ),
    "orders:customer-edit": rule(Kind.SELLER_WRITE, FORM),
    "orders:customer-archive": rule(Kind.SELLER_WRITE, ACT),
    "orders:customer-restore": rule(Kind.SELLER_WRITE, ACT),
    "orders:help": rule(Kind.SELLER_READ, READ),
    "orders:help-statuses": rule(Kind.SELLER_READ, READ),
    "orders:help-failures": rule(Kind.SELLER_READ, READ),
    "orders:help-sandbox": rule(Kind.SELLER_READ, READ),
    "orders:settings": rule(Kind.SELLER_MANAGE, FORM),
    "orders:tax-rates": rule(Kind.SELLER_MANAGE, FORM),
    "orders:logo": rule(Kind.SELLER_READ, READ),
    "orders:logo-change": rule(Kind.SELLER_MANAGE, ACT),
    "orders:people": rule(Kind.SELLER_MANAGE, FORM),
    "orders:person-role": rule(Kind.SELLER_MANAGE, ACT),
    "orders:person-remove": rule(Kind.SELLER_MANAGE, FORM),
    "orders:person-restore": rule(Kind.SELLER_MANAGE, ACT),
    "orders:invitation-resend": rule(Kind.SELLER_MANAGE, ACT),
    "orders:invitation-revoke": rule(Kind.SELLER_MANAGE, ACT),
    "orders:join": rule(Kind.PUBLIC, FORM),
    "orders:hook": rule(Kind.PUBLIC, ACT),
    "orders:demo-mail": rule(Kind.SELLER_READ, READ),
}
# Django's own pages of the admin; all are for staff only.
ADMIN_PAGES = frozenset(
    f"admin:{name}"
    for name in [
        "index",
        "login",
        "logout",
        "password_change",
        "password_change_done",
        "autocomplete",
        "jsi18n",
        "view_on_site",
        "app_list",
        "catch-all",
    ]
)
# What staff may open in the admin: app_model. The five pages of each (list, add, history, delete, change) are for staff only.
ADMIN_MODELS = frozenset(
    [
        "orders_user",
        "orders_seller",
        "orders_invitation",
        "orders_settingschange",
        "orders_notice",
        "orders_sentmail",
        "orders_membership",
        "orders_vendor",
        "orders_vendoraccount",
        "orders_offer",
        "orders_price",
        "orders_pricelist",
        "orders_customer",
        "orders_customertenant",
        "orders_order",
        "orders_orderline",
        "orders_orderevent",
        "orders_ordernote",
        "orders_purchaseattempt",
        "orders_parkedattempt",
        "orders_vendorexchange",
        "orders_vendorevent",
        "orders_failure",
        "orders_failurereason",
        "orders_subscription",
        "orders_manualattempt",
        "orders_incident",
        "orders_quoterevision",
        "auth_group",
        "django_tasks_database_dbtaskresult",
    ]
)
# Further pages of the admin, by name.
ADMIN_ACTIONS = frozenset(
    {
        "admin:auth_user_password_change",
        "admin:orders_order_retry",
        "admin:orders_order_close",
        "admin:orders_order_stop",
        "admin:orders_order_remove",
        "admin:orders_failurereason_unknown",
    }
)
MODEL_PAGES = ("changelist", "add", "history", "delete", "change", "legacy-address")


@dataclass(frozen=True)
class Address:
    """One URL pattern: `name` with its namespace, and what must be put into it."""

    name: str
    route: str
    arguments: tuple[str, ...]
    is_admin: bool
    model: str = ""  # app_model of an admin page

    def rule(self) -> Rule | None:
        if self.name in RULES:
            return RULES[self.name]
        model_page = self.model in ADMIN_MODELS and self.name.removeprefix(f"admin:{self.model}_") in MODEL_PAGES
        known = model_page or self.name in ADMIN_PAGES or self.name in ADMIN_ACTIONS
        return rule(Kind.STAFF, READ) if self.is_admin and known else None

    def path(self, **values: object) -> str:
        """The address with values for its arguments; for nameless ones the route itself is filled in."""
        if self.name.endswith("legacy-address"):
            return f"/{self.route}".replace("<path:object_id>", str(values["object_id"]))
        if self.name == "admin:catch-all":
            return "/admin/no-such-page/"
        return reverse(self.name, kwargs={name: values[name] for name in self.arguments})


def addresses() -> list[Address]:
    return list(_walk(get_resolver().url_patterns))


def unclassified(found: list[Address]) -> list[str]:
    return [
        f"The address /{address.route} ({address.name or 'nameless'}) is in no table of tests/walls/urls.py: say there who may open it."
        for address in found
        if address.rule() is None
    ]


def _walk(patterns: list[Any], prefix: str = "", namespace: str = "") -> Iterator[Address]:
    for pattern in patterns:
        route = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from _walk(pattern.url_patterns, route, namespace + (f"{pattern.namespace}:" if pattern.namespace else ""))
        else:
            yield _address(pattern, route, namespace)


def _address(pattern: URLPattern, route: str, namespace: str) -> Address:
    is_admin = route.startswith("admin/")
    model = next((name for name in _registered() if f"admin/{name.replace('.', '/')}/" in route), "").replace(".", "_")
    name = pattern.name or ""
    if is_admin and not name:
        name = f"{model}_legacy-address" if model else "catch-all"
    arguments = (
        tuple(pattern.pattern.converters) if not isinstance(pattern.pattern, RegexPattern) else tuple(pattern.pattern.regex.groupindex)
    )
    return Address(f"{namespace}{name}" if name else "", route, arguments, is_admin, model)


def _registered() -> list[str]:
    """app.model of everything in the admin, the longest names first, so that none is taken for another's beginning."""
    return sorted((model._meta.label_lower for model in admin.site._registry), key=len, reverse=True)
