"""Staff: people, vendors and their accounts, catalogue, failure catalogue, incidents, manual provisioning, parked
attempts; orders to read, with four named verbs.

Staff are superusers, or get Django's permissions by groups. Every edit stays in Django's own log, under History.
"""

from orders.admin import catalogue, events, failures, orders, parked, people, provisioning

__all__ = ["catalogue", "events", "failures", "orders", "parked", "people", "provisioning"]
