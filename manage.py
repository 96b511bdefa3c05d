#!/usr/bin/env python
"""Entry point of the portal: `uv run manage.py up` starts everything."""

import os
import sys

if sys.version_info < (3, 12):  # noqa: UP036  (reached when somebody calls it with an old Python by hand)
    sys.exit("The portal needs Python 3.12 or newer; this is %s.%s. `uv run manage.py ...` picks a right one." % sys.version_info[:2])  # noqa: UP031

# The demo is the only command that may choose its own profile: `up` is loopback-only and says so.
# Everything else runs with the profile of the environment and fails closed without one.
if len(sys.argv) > 1 and sys.argv[1] == "up":
    os.environ.setdefault("PORTAL_PROFILE", "demo")


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
    try:
        from django.core.management import execute_from_command_line
    except ImportError:
        sys.exit("Django is not installed here. Run the command through uv: `uv run manage.py ...`.")
    from django.core.exceptions import ImproperlyConfigured

    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
