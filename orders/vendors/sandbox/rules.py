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
QUANTITY_OUT_OF_RANGE = 999
QUANTITY_WITHDRAWN = 2091
QUANTITY_NO_AGREEMENT = 13605
QUANTITY_USE_LIMIT = 27006
QUANTITY_TERM_WITHDRAWN = 800028
QUANTITY_ADD_ON_ALONE = 800029
QUANTITY_NOT_IN_COUNTRY = 800070
QUANTITY_SEAT_LIMIT = 800088

SEATS_LEFT = 25

QUANTITY_REFUSALS = {
    QUANTITY_NO_CREDIT: (403, 800023, "The credit line of the customer is below the purchase threshold."),
    QUANTITY_SEAT_LIMIT: (403, QUANTITY_SEAT_LIMIT, f"Only {SEATS_LEFT} seats are left for this subscription."),
    QUANTITY_WITHDRAWN: (403, QUANTITY_WITHDRAWN, "This offer is not available for purchase anymore."),
    QUANTITY_NO_AGREEMENT: (
        403,
        QUANTITY_NO_AGREEMENT,
        "The acceptance of the Microsoft Customer Agreement is not confirmed for this customer.",
    ),
    QUANTITY_USE_LIMIT: (400, QUANTITY_USE_LIMIT, "Use limit is exceeded for the offer."),
    QUANTITY_TERM_WITHDRAWN: (403, QUANTITY_TERM_WITHDRAWN, "The initial term is no longer available for purchase."),
    QUANTITY_ADD_ON_ALONE: (400, QUANTITY_ADD_ON_ALONE, "The add-on is not related to the parent subscription."),
    800067: (403, 800067, "The number of seats per subscription is exceeded."),
    QUANTITY_NOT_IN_COUNTRY: (400, QUANTITY_NOT_IN_COUNTRY, "The item is not sold in the customer's country or region."),
}
"""Quantities that make the checkout be refused as a whole: HTTP status, code, words. Most are the code itself."""

OFFER_IS_THE_REASON = frozenset({QUANTITY_WITHDRAWN, QUANTITY_USE_LIMIT, QUANTITY_ADD_ON_ALONE, QUANTITY_NOT_IN_COUNTRY})
"""Of those, the ones that the same quantity of another offer cures, as the code says; the others want a smaller quantity."""

CUSTOMER_REFUSALS = (
    ("BillingProfile", "CompanyName", "toolong", 3000, "The company name is longer than the vendor's directory allows."),
    ("DefaultAddress", "City", "nowhere", 3000, "State, City and PostalCode do not agree."),
    ("DefaultAddress", "AddressLine1", "nowhere", 3000, "AddressLine1 is not a deliverable address."),
    ("DefaultAddress", "LastName", "refused", 3000, "LastName holds characters that are not allowed."),
)
"""What a customer's text begins with to have its creation refused, by the part and property it stands in."""

ADOBE_CUSTOMER_INACTIVE = 1024
ADOBE_ACCOUNT_BLOCKED = 1125
ADOBE_NOT_ELIGIBLE = 2129
ADOBE_STILL_PROCESSING = 4122
ADOBE_UNAVAILABLE = 5122
"""Quantities of offers that are sold in Adobe's dialect; each is the code itself. Its slow and failing ones are those above."""

REGISTRATION_REFUSED = "000"
PHONE_REFUSED = "99999"

OWN_ORDER_GROUP = frozenset({QUANTITY_TOO_MANY_SEATS, QUANTITY_FAILS, QUANTITY_LINE_REFUSED})
"""Quantities that end badly get their own vendor order, so that the good lines of the same cart still succeed."""

TRIES_BEFORE_WORKING = 2
"""How often a cart with a "try again" quantity is turned away before it is taken."""

RETRY_AFTER_SECONDS = 3

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
    Magic("Name too long", "Customer name", "Toolong…", "Creating the customer is refused (400, code 3000 for CompanyName)."),
    Magic("Address that does not agree", "City", "Nowhere…", "Creating the customer is refused (400, code 3000 for City)."),
    Magic("Address that does not exist", "Address", "Nowhere…", "Creating the customer is refused (400, code 3000 for AddressLine1)."),
    Magic("Contact refused", "Contact last name", "Refused…", "Creating the customer is refused (400, code 3000 for LastName)."),
    Magic("Phone refused", "Contact phone", "…99999", "Creating the customer is refused (400, code 3000 for PhoneNumber)."),
    Magic("Registration number refused", "Registration number", "000…", "Creating the customer is refused (400, code 600050)."),
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
    Magic("Offer withdrawn", "Quantity", "2091", "Checkout is refused as a whole: no longer sold (403, code 2091). Another offer is sold."),
    Magic(
        "Agreement missing",
        "Quantity",
        "13605",
        "Checkout is refused as a whole: agreement not accepted (403, code 13605). The customer accepts it in the action time.",
    ),
    Magic(
        "Use limit",
        "Quantity",
        "27006",
        "Checkout is refused as a whole: the customer holds this already (400, code 27006). Another offer is sold.",
    ),
    Magic(
        "Term withdrawn",
        "Quantity",
        "800028",
        "Checkout is refused as a whole: the term is no longer sold (403, code 800028). Another term is.",
    ),
    Magic("Add-on without its base", "Quantity", "800029", "Checkout is refused as a whole (400, code 800029). Another offer is sold."),
    Magic("Seats per subscription", "Quantity", "800067", "Checkout is refused as a whole: too many seats (403, code 800067)."),
    Magic(
        "Not in this country", "Quantity", "800070", "Checkout is refused as a whole: not sold there (400, code 800070). Another offer is."
    ),
    Magic("Seat limit", "Quantity", "800088", "Checkout is refused as a whole: only 25 seats are left (403, code 800088)."),
    Magic("Adobe: address refused", "City", "Nowhere…", "Creating the customer is refused (400, code 1118)."),
    Magic("Adobe: contact refused", "Contact e-mail", "refused@…", "Creating the customer is refused (400, code 1117)."),
    Magic("Adobe: slow success", "Quantity", "202", "The order stays open (1002) for the slow time, then it is filled."),
    Magic(
        "Adobe: item fails later",
        "Quantity",
        "204",
        "The order is open, then this item has failed (1004); others are filled.",
    ),
    Magic(
        "Adobe: fails later",
        "Quantity",
        "1024",
        "The order is open, then it has failed as a whole: customer inactive (1024).",
    ),
    Magic("Adobe: account blocked", "Quantity", "1125", "The order is refused as a whole (400, code 1125)."),
    Magic("Adobe: not eligible", "Quantity", "2129", "The order is refused as a whole and names this item (400, code 2129)."),
    Magic("Adobe: too many seats", "Quantity", "10001", "The order is refused as a whole and names this item (400, code 2120)."),
    Magic(
        "Adobe: still processing",
        "Quantity",
        "4122",
        "The order is taken, but the answer is that it is still being processed (400, code 4122).",
    ),
    Magic(
        "Adobe: unavailable twice",
        "Quantity",
        "5122",
        "The order is answered two times with “currently unavailable” (400, code 5122); then it works.",
    ),
)


def magic_rows() -> list[dict[str, str]]:
    """The table as JSON rows."""
    return [asdict(row) for row in MAGIC]


def printed_magic() -> str:
    """The text of `magic.json`."""
    return json.dumps(magic_rows(), indent=2, ensure_ascii=False) + "\n"
