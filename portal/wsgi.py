"""WSGI entry point. gunicorn runs no system checks, so the guards of history are looked for here."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")

application = get_wsgi_application()

from orders.guards import refuse_without_guards  # noqa: E402  (needs the loaded apps)

refuse_without_guards()
