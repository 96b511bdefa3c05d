"""Help pages."""

from django.http import HttpRequest, HttpResponse


def help_index(request: HttpRequest) -> HttpResponse:
    return HttpResponse("")


help_statuses = help_failures = help_sandbox = help_index
