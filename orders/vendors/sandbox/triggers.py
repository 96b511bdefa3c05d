"""Everything that makes this vendor behave in a given way, besides what `rules.MAGIC` lists: for people to read.

`GET /__sandbox__/triggers` serves it, and `triggers.json` beside this file is its printed copy
(`python -m orders.vendors.sandbox --print-triggers`), which the portal's help shows without importing this package.
"""

import json
from dataclasses import asdict, dataclass

from . import faults


@dataclass(frozen=True)
class Trigger:
    """What to try, where, what to type or send, and what then happens."""

    name: str
    where: str
    value: str
    result: str


PRODUCTS = (
    Trigger(
        "Succeeds in a minute", "Product id", "SBXOK000", "The order is pending, and completed after one minute of the vendor’s clock."
    ),
    Trigger("Succeeds tomorrow", "Product id", "SBXSLOW0", "The order is pending for 24 hours, then completed."),
    Trigger(
        "Under review",
        "Product id",
        "SBXREV00",
        "The order is in review for a minute; an even quantity is then completed, an odd one rejected.",
    ),
    Trigger(
        "Purchase order document",
        "Product id",
        "DG7GMGF0D7FV",
        "The order waits until a document is uploaded, then completes. DG7GMGF0D7FT does the same.",
    ),
    Trigger(
        "Refused beside others",
        "Product id",
        "SBXPART0",
        "Checkout refuses this line (800069) in orderErrors, while the other lines are bought.",
    ),
    Trigger("Fails", "Product id", "SBXERR00", "The order is pending, then in error, without a reason."),
    Trigger(
        "Half of it",
        "Product id",
        "SBXPSUC0",
        "The order ends as partial_success: this line is unfulfilled, the others of its order are fulfilled.",
    ),
    Trigger("A status nobody knows", "Product id", "SBXUNK00", "The order is pending, then quantum_flux, for ever."),
    Trigger("Out of date once", "Product id", "SBXNOAV0", "The first cart is refused (404, code 400019); the next one is taken."),
    Trigger("Attestation", "Product id", "SBXATT00", "The cart’s line has error 10012 unless AttestationAccepted is true."),
    Trigger(
        "Add-on", "Product id", "SBXADD00", "Checkout is refused (400, code 800029) unless the cart or the customer has another product."
    ),
    Trigger("Refused with 200", "Product id", "SBXLATE0", "Creating the cart answers HTTP 200 with code 400072: not available."),
)

CUSTOMERS = (
    Trigger("No agreement", "Domain prefix", "nomca…", "Neither agreement is there; checkout is refused (403, code 13605)."),
    Trigger(
        "Signed it himself",
        "Domain prefix",
        "direct…",
        "The partner attested nothing, but the customer signed the agreement himself. He can buy.",
    ),
    Trigger("Under review", "Domain prefix", "review…", "validationStatus is UnderReview; checkout is refused (403, code 800073)."),
    Trigger("Not approved", "Domain prefix", "denied…", "validationStatus is NotAllowed; checkout is refused (403, code 800075)."),
    Trigger(
        "No status", "Domain prefix", "nostatus…", "validationStatus answers 404 with code 600074, in the second body shape. He can buy."
    ),
    Trigger("No relationship", "Domain prefix", "norel…", "Carts, orders and subscriptions are refused (403, code 20002)."),
    Trigger("No credit", "Domain prefix", "credit…", "Checkout is refused (403, code 800023)."),
    Trigger("Locked", "Domain prefix", "locked…", "Checkout is refused (403, code 900416)."),
    Trigger(
        "Address that burns the domain",
        "Contact e-mail",
        "…@….invalid, …@….u",
        "Creating the customer is refused (400, code 27002) and the domain is taken.",
    ),
    Trigger("Unknown postal code", "Postal code", "00000", "Validating the address answers None."),
    Trigger("Street without a number", "Address", "Oudegracht", "Validating the address answers StreetPartial with three proposals."),
    Trigger(
        "Number missing",
        "Country",
        "IN, without a registration number",
        "Creating the customer is refused (400, code 600049). So in 23 other countries.",
    ),
    Trigger(
        "Number not wanted",
        "Country",
        "DE, with a registration number",
        "Creating the customer is refused (400, code 600002). So wherever it is not mandatory.",
    ),
    Trigger("Phone missing", "Contact phone", "000", "Creating the customer is refused (400, code 600051)."),
)

CHANGES = (
    Trigger("Server error once", "New quantity", "500 to 599", "The change answers that HTTP status once, then it works."),
    Trigger("No credit", "New quantity", "402", "The change is refused (403, code 800023)."),
    Trigger("Seat limit", "New quantity", "800088", "The change is refused (403, code 800088). 800067 answers itself as well."),
    Trigger("Out of range", "Quantity, new or first", "999", "The cart or the change is refused (400, code 2002)."),
    Trigger(
        "Fewer seats too late",
        "New quantity",
        "less, after 7 days",
        "The change is refused (400, code 800090); seats that were added have 7 days of their own.",
    ),
    Trigger("Cancelled too late", "New status", "deleted, after 7 days", "The change is refused (400, code 900117)."),
    Trigger("Too soon", "Any change", "while one is carried out", "The change is refused (409, code 800082)."),
    Trigger("Too many", "Any change", "third in a minute, or 21st", "The change is refused (409, code 900278; 400, code 900311)."),
    Trigger(
        "Incomplete",
        "Any change",
        "not the whole resource",
        "Renewal is switched off, scheduled instructions are deleted, and it is a violation.",
    ),
)

CONTROL = (
    Trigger(
        "Set an order’s status",
        "Control call",
        'PATCH orders/{id} {"status": "error"}',
        "Any word; null lets the order go its own way again.",
    ),
    Trigger(
        "Change a customer",
        "Control call",
        'PATCH customers/{id} {"agreement": "direct"}',
        "Also standing, relationship, credit and locked: the customer acts, or the vendor’s staff.",
    ),
    Trigger("Let time pass", "Control call", 'POST clock {"advance": "PT20M"}', "Tokens, carts, windows, reviews and renewals follow."),
    Trigger(
        "Send an event",
        "Control call",
        'POST events {"subscriptionId": "…"}',
        "Again (resend), often (times), late (date), with signature wrong or missing, certificate other, any certificateUrl.",
    ),
    Trigger("Release", "Control call", "POST release", "Calls that a hold keeps open go on."),
    Trigger(
        "Remember and forget",
        "Control call",
        'POST snapshot, POST restore {"snapshot": 1}',
        "Puts an earlier ledger back: a vendor that lost what came after.",
    ),
    Trigger("Start anew", "Control call", "POST reset", "Empties the ledger, the log, the violations and the faults."),
    Trigger(
        "Look",
        "Control call",
        "GET ledger, log, violations, faults, events, late",
        "What was bought, each call, our mistakes, the rules in force, the events, what will still happen.",
    ),
    Trigger("Trust", "Control call", "GET authority", "The certificate that vouches for the sender of events."),
)


def fault_triggers() -> tuple[Trigger, ...]:
    """The fault rules, from their own table, so that none is forgotten."""
    rows = [*faults.PLAIN_ACTIONS.items(), *faults.ACTIONS_WITH_ARGUMENT.items()]
    return tuple(Trigger(_name(action), "Fault rule", action, words) for action, words in rows)


_NAMES = {
    "429": "Throttled",
    "bad_json": "Bad JSON",
    "bom": "Byte order mark",
    "code": "A vendor’s code",
    "dup_event": "Event twice",
    "empty": "Empty body",
    "event_bad_signature": "Event with a bad signature",
    "gzip_bomb": "Gzip bomb",
    "html502": "A proxy’s web page",
    "huge": "Huge body",
    "nul": "U+0000 and a lone surrogate",
    "redirect": "Redirect to a private address",
    "shape": "Body shape",
    "status": "An HTTP status",
    "status_after_commit": "An HTTP status after commit",
    "text": "Words of your own",
    "token:expired_early": "Token expires early",
    "token:invalid_grant": "Consent revoked",
    "truncate": "Half an answer",
}


def _name(action: str) -> str:
    """What people call it."""
    kind = action if action.startswith("token:") else action.partition(":")[0]
    return _NAMES.get(kind) or kind.replace("_", " ").capitalize()


def groups() -> list[dict[str, object]]:
    """The page: groups of rows, each with a title and a sentence."""
    tables = (
        (
            "Products",
            "products",
            "Order one of these products; the demo’s catalogue has them as “Test outcome”."
            " Each gets a vendor order of its own, so other lines are not touched.",
            PRODUCTS,
        ),
        ("Customers", "customers", "What a customer is called decides what the vendor thinks of him.", CUSTOMERS),
        ("Changes of a subscription", "changes", "What a change of a running subscription is refused for.", CHANGES),
        (
            "Faults of the line",
            "faults",
            'Send POST /__sandbox__/faults with {"action": "…", "match": {"method": "POST", "path": "*/checkout"}, "times": 1, "after": 0}.'
            " The rule skips the first calls that match, then acts on as many as times says.",
            fault_triggers(),
        ),
        ("Control calls", "control", "Under /__sandbox__/ on the vendor’s own port, for programs on this machine.", CONTROL),
    )
    return [{"title": title, "slug": slug, "about": about, "rows": [asdict(row) for row in rows]} for title, slug, about, rows in tables]


def printed_triggers() -> str:
    """The text of `triggers.json`."""
    return json.dumps(groups(), indent=2, ensure_ascii=False) + "\n"
