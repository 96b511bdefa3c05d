"""Where vendors tell us something. Kept and answered at once; nothing is verified, fetched or asked in the request."""

from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from orders import hooks


@csrf_exempt
@login_not_required
@require_POST
def hook(request: HttpRequest, token: str) -> HttpResponse:
    """A vendor has no session and no form of ours: the token in the address and the signature stand for both."""
    account = hooks.account_of(token)
    if account is None:
        raise Http404
    body = request.read(hooks.LONGEST_BODY + 1)
    if len(body) > hooks.LONGEST_BODY:
        return HttpResponse("too large", status=413, content_type="text/plain")
    try:
        hooks.receive(account, {name.lower(): value for name, value in request.headers.items()}, body)
    except hooks.NoEvent:
        return HttpResponse("not an event", status=400, content_type="text/plain")
    return HttpResponse(status=202)
