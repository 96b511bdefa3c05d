"""All models; one noun a file. Import from here."""

from orders.models.accounts import Membership, Role, Seller, User
from orders.models.catalogue import Offer, Price, Vendor, VendorAccount
from orders.models.customers import Customer, CustomerTenant
from orders.models.events import Incident, OrderEvent, OrderNote
from orders.models.failures import FailureReason, RetryClass, Who
from orders.models.orders import Order, OrderLine, Sequence, Submission
from orders.models.purchases import AttemptState, Failure, FailureClass, PurchaseAttempt, VendorExchange
from orders.models.quotes import QuoteRevision
from orders.models.subscriptions import Subscription, SubscriptionStatus

__all__ = [
    "AttemptState",
    "Customer",
    "CustomerTenant",
    "Failure",
    "FailureClass",
    "FailureReason",
    "Incident",
    "Membership",
    "Offer",
    "Order",
    "OrderEvent",
    "OrderLine",
    "OrderNote",
    "Price",
    "PurchaseAttempt",
    "QuoteRevision",
    "RetryClass",
    "Role",
    "Seller",
    "Sequence",
    "Submission",
    "Subscription",
    "SubscriptionStatus",
    "User",
    "Vendor",
    "VendorAccount",
    "VendorExchange",
    "Who",
]
