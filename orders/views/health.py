"""Is this process fit to serve? For load balancers; says nothing that helps a stranger."""

import logging

from django.contrib.auth.decorators import login_not_required
from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from orders import guards

log = logging.getLogger(__name__)


@require_safe
@login_not_required
def healthz(request: HttpRequest) -> HttpResponse:
    try:
        absent = guards.missing(connection)
    except DatabaseError:
        log.exception("healthz: the database does not answer")
        return HttpResponse("no database", status=503, content_type="text/plain")
    if absent:
        log.error("healthz: triggers are missing: %s", ", ".join(sorted(absent)))
        return HttpResponse("history is not guarded", status=503, content_type="text/plain")
    return HttpResponse("ok", content_type="text/plain")
