"""Magic values: what a seller can type into an order to make the sandbox vendor behave in a given way.

`MAGIC` is the one table.  The behaviour reads its constants from here, `GET /__sandbox__/magic` serves it, and
`magic.json` beside this file is its printed copy (`python -m orders.vendors.sandbox --print-magic`), so the portal
can show the table without the server and without importing it.  The numbers are chosen like HTTP statuses, and
26 and 800088 like the vendor's own codes, so that they are easy to remember.
"""

import json
from dataclasses import asdict, dataclass

EMAIL_REFUSED = "refused"
EMAIL_HOSTILE = "hostile"
EMAIL_BURNS_DOMAIN = "burns"
EMAIL_ENDINGS_THAT_BURN = (".invalid", ".u")
DOMAIN_TAKEN = "taken"
PRODUCT_GONE = "GONE"

QUANTITY_TOO_MANY_SEATS = 26
QUANTITY_SLOW = 202
QUANTITY_FAILS = 204
QUANTITY_LINE_REFUSED = 207
QUANTITY_NO_CREDIT = 402
QUANTITY_NEEDS_DOCUMENT = 428
QUANTITY_THROTTLED = 429
QUANTITY_BUSY = 503
QUANTITY_ALWAYS_BUSY = 599
QUANTITY_SEAT_LIMIT = 800088

OWN_ORDER_GROUP = frozenset({QUANTITY_TOO_MANY_SEATS, QUANTITY_FAILS, QUANTITY_LINE_REFUSED})
"""Quantities that end badly get their own vendor order, so that the good lines of the same cart still succeed."""

TRIES_BEFORE_WORKING = 2
"""How often a cart with a "try again" quantity is turned away before it is taken."""

RETRY_AFTER_SECONDS = 3
SEATS_LEFT = 25

HOSTILE_TEXT = '<img src=x onerror=alert(1)><script>document.title="owned"</script> {{7*7}} \u202e ' + "W" * 4000
"""Markup, a template expression, a right-to-left override and a word no screen can break: the portal must show it as text."""


@dataclass(frozen=True)
class Magic:
    """One row: its name, where the seller types it, what to type, and what then happens."""

    name: str
    where: str
    value: str
    result: str


MAGIC = (
    Magic("E-mail refused", "Contact e-mail", "refused@…", "Creating the customer is refused: the address is not valid (400, code 3000)."),
    Magic(
        "E-mail burns the domain",
        "Contact e-mail",
        "burns@…",
        "Creating the customer is refused (400, code 27002) and its domain is taken from then on.",
    ),
    Magic(
        "Hostile reason", "Contact e-mail", "hostile@…", "Creating the customer is refused with markup and a 4,000-letter word as reason."
    ),
    Magic("Domain taken", "Domain prefix", "taken…", "The domain is already in use, when asked for and when the customer is created."),
    Magic("Product gone", "Product id", "GONE…", "The product is no longer sold (404, code 400013)."),
    Magic("Too many seats", "Quantity", "26", "The cart is taken but this line carries error 10015: only 25 seats are available."),
    Magic("Slow success", "Quantity", "202", "The order stays pending for the slow time, then completes."),
    Magic("Fails without a reason", "Quantity", "204", "The line’s order is pending, then ends in error; no reason is given anywhere."),
    Magic("Line refused", "Quantity", "207", "Checkout refuses this line (800069, risk check) while the other lines succeed."),
    Magic("No credit", "Quantity", "402", "Checkout is refused as a whole: credit line below the threshold (403, code 800023)."),
    Magic("Needs a document", "Quantity", "428", "The order waits for a purchase order document, or the action time, then completes."),
    Magic("Throttled twice", "Quantity", "429", "Creating the cart answers 429, Retry-After 3, two times; then it works."),
    Magic("Busy twice", "Quantity", "503", "Creating the cart answers 503 with a web page two times; then it works."),
    Magic("Busy for ever", "Quantity", "599", "Creating the cart always answers 503 with a web page."),
    Magic("Seat limit", "Quantity", "800088", "Checkout is refused as a whole: only 25 seats are left (403, code 800088)."),
)


def magic_rows() -> list[dict[str, str]]:
    """The table as JSON rows."""
    return [asdict(row) for row in MAGIC]


def printed_magic() -> str:
    """The text of `magic.json`."""
    return json.dumps(magic_rows(), indent=2, ensure_ascii=False) + "\n"
