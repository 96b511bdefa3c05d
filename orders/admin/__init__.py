"""Staff: people, vendors and their accounts, catalogue, failure catalogue, incidents; orders to read.

Staff are superusers, or get Django's permissions by groups. Every edit stays in Django's own log, under History.
"""

# First: Django's pages for people, which it imports, make a site of what waits by then. Until the garbage collector comes
# that site is checked too, so it must be an empty one.
from orders.admin import people  # isort: split

from orders.admin import catalogue, failures, orders

__all__ = ["catalogue", "failures", "orders", "people"]
