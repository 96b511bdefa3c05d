"""All models; one noun a file. Import from here."""

from orders.models.accounts import Invitation, Membership, Pricing, Role, Seller, SettingsChange, TaxRate, User
from orders.models.catalogue import AccountHealth, Offer, Price, PriceList, Vendor, VendorAccount
from orders.models.customers import Customer, CustomerTenant
from orders.models.epoch import PortalEpoch
from orders.models.events import Incident, OrderEvent, OrderNote
from orders.models.failures import FailureReason, RetryClass, Who
from orders.models.hints import VendorEvent
from orders.models.notices import Notice, SentMail
from orders.models.orders import DiscountKind, Margin, Order, OrderLine, Sequence, Submission
from orders.models.preflight import Preflight
from orders.models.purchases import (
    AttemptState,
    Failure,
    FailureClass,
    ManualAttempt,
    ParkedAttempt,
    ParkedVerdict,
    PurchaseAttempt,
    StaffVerdict,
    VendorExchange,
)
from orders.models.quotes import FloorApproval, QuoteAcceptance, QuoteLink, QuoteMessage, QuoteRevision, QuoteTemplate
from orders.models.subscriptions import Subscription, SubscriptionStatus

__all__ = [
    "AccountHealth",
    "AttemptState",
    "Customer",
    "CustomerTenant",
    "DiscountKind",
    "Failure",
    "FailureClass",
    "FailureReason",
    "FloorApproval",
    "Incident",
    "Invitation",
    "ManualAttempt",
    "Margin",
    "Membership",
    "Notice",
    "Offer",
    "Order",
    "OrderEvent",
    "OrderLine",
    "OrderNote",
    "ParkedAttempt",
    "ParkedVerdict",
    "PortalEpoch",
    "Preflight",
    "Price",
    "PriceList",
    "Pricing",
    "PurchaseAttempt",
    "QuoteAcceptance",
    "QuoteLink",
    "QuoteMessage",
    "QuoteRevision",
    "QuoteTemplate",
    "RetryClass",
    "Role",
    "Seller",
    "SentMail",
    "Sequence",
    "SettingsChange",
    "StaffVerdict",
    "Submission",
    "Subscription",
    "SubscriptionStatus",
    "TaxRate",
    "User",
    "Vendor",
    "VendorAccount",
    "VendorEvent",
    "VendorExchange",
    "Who",
]
