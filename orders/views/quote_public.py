"""The customer's page of a quote: no account, only the link. Reading changes nothing; every answer is a POST.

No CSRF token: whoever answers is known by the address alone, there is no cookie that a stranger's page could make use of, and a
page that sends no referrer sends no origin either, which Django would refuse. Answers from other sites' pages are refused by
what the browser says of them (Sec-Fetch-Site). Source: product.md section 4, public quote.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from axes.helpers import get_client_ip_address
from django.contrib.auth.decorators import login_not_required
from django.core.cache import cache
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from orders import clock, formats, logos, quote_document, quote_pdf, quoting
from orders.forms.quotes import AcceptForm, AskForm, DeclineForm
from orders.lifecycle import Refusal
from orders.models import QuoteLink, QuoteMessage, QuoteRevision
from orders.quote_document import ImpossibleChoice
from orders.quoting import NotTaken, Signature

# Of one address in a minute: more than a person needs, too few to try tokens or to fill a thread.
READS, WRITES, MINUTE = 120, 60, 60
SAME_SITE = {"same-origin", "none"}
HEADERS = {"Referrer-Policy": "no-referrer", "X-Robots-Tag": "noindex, nofollow, noarchive", "Cache-Control": "no-store, private"}

type View = Callable[[HttpRequest, QuoteLink], HttpResponse]


def by_link(view: View) -> Callable[[HttpRequest, str], HttpResponse]:
    """Find the quote by its token, speak as its seller does, and send the headers that keep the address to the customer."""

    @csrf_exempt
    @login_not_required
    @wraps(view)
    def found(request: HttpRequest, token: str) -> HttpResponse:
        response = _answer(request, token, view)
        for name, value in HEADERS.items():
            response.headers[name] = value
        return response

    return found


def _answer(request: HttpRequest, token: str, view: View) -> HttpResponse:
    if _is_too_much(request):
        response = render(
            request, "quote/gone.html", {"title": "Too many requests", "text": "Wait a minute, then open the link again."}, status=429
        )
        response.headers["Retry-After"] = str(MINUTE)
        return response
    if request.method == "POST" and request.headers.get("Sec-Fetch-Site", "none") not in SAME_SITE:
        return render(request, "quote/gone.html", {"title": "Not taken", "text": "Open the link itself and answer there."}, status=403)
    link = quoting.link_of(token)
    if link is None:
        text = "This link leads to no quote. It may have been replaced by a newer one; ask whoever sent it."
        return render(request, "quote/gone.html", {"title": "No quote here", "text": text}, status=404)
    seller = link.revision.order.seller
    with timezone.override(ZoneInfo(seller.time_zone)), formats.using(seller.language):
        return view(request, link)


def _is_too_much(request: HttpRequest) -> bool:
    kind, most = ("r", READS) if request.method in {"GET", "HEAD"} else ("w", WRITES)
    key = f"quote-{kind}-{get_client_ip_address(request)}-{int(clock.here().timestamp()) // MINUTE}"
    cache.add(key, 0, MINUTE)
    try:
        return cache.incr(key) > most
    except ValueError:
        # It ran out in between: the first of the next minute.
        return False


# --- reading


@require_http_methods(["GET", "HEAD", "POST"])
@by_link
def quote(request: HttpRequest, link: QuoteLink) -> HttpResponse:
    """The frozen revision. POST only shows the sums of other optional items, with all that was typed kept."""
    return _page(request, link)


@require_safe
@by_link
def pdf(request: HttpRequest, link: QuoteLink) -> HttpResponse:
    """The same as a file."""
    return pdf_of(link, _chosen(request, link))


def pdf_of(link: QuoteLink, chosen: list[int]) -> HttpResponse:
    document = link.revision.document
    sheet = quote_document.sheet(document, link.valid_until, chosen)
    return as_file(quote_pdf.pdf(sheet, logo=logos.of(link.revision.order.seller.logo)), f"{document['number']}-{document['revision']}.pdf")


def as_file(content: bytes, name: str) -> HttpResponse:
    return HttpResponse(content, content_type="application/pdf", headers={"Content-Disposition": f'inline; filename="{name}"'})


@require_POST
@by_link
def opened(request: HttpRequest, link: QuoteLink) -> HttpResponse:
    """Sent by the page's script after two seconds in view; a colleague of the seller who looks is no customer."""
    membership = getattr(request.user, "membership", None) if request.user.is_authenticated else None
    is_ours = membership is not None and membership.seller_id == link.revision.order.seller_id
    if not is_ours and request.headers.get("Sec-Fetch-Site") == "same-origin":
        quoting.opened(link)
    return HttpResponse(status=204)


# --- answering


@require_POST
@by_link
def accept(request: HttpRequest, link: QuoteLink) -> HttpResponse:
    """The customer's yes to what was displayed."""
    form = AcceptForm(request.POST, document=link.revision.document)
    if not form.is_valid():
        return _page(request, link, accept_form=form, status=422)
    data = form.cleaned_data
    try:
        quoting.accept(link, _signature(request, data), content_sha256=data["content"], chosen=_chosen(request, link))
    except NotTaken as late:
        return _page(request, link, late=late.why, status=409)
    except ImpossibleChoice as objection:
        form.add_error(None, str(objection))
        return _page(request, link, accept_form=form, status=422)
    return redirect(request.path.removesuffix("accept/"))


@require_POST
@by_link
def decline(request: HttpRequest, link: QuoteLink) -> HttpResponse:
    """The customer's no."""
    form = DeclineForm(request.POST, prefix="no")
    if not form.is_valid():
        return _page(request, link, decline_form=form, status=422)
    try:
        quoting.decline_by_link(link, _signature(request, form.cleaned_data), reason=form.cleaned_data["reason"])
    except NotTaken as late:
        return _page(request, link, late=late.why, status=409)
    return redirect(request.path.removesuffix("decline/"))


@require_POST
@by_link
def ask(request: HttpRequest, link: QuoteLink) -> HttpResponse:
    """The customer wants something changed. The quote stays as it is until the seller revises it."""
    form = AskForm(request.POST, prefix="ask", document=link.revision.document)
    if not form.is_valid():
        return _page(request, link, ask_form=form, status=422)
    try:
        quoting.ask(link, _signature(request, form.cleaned_data), form.texts())
    except NotTaken as late:
        return _page(request, link, late=late.why, status=409)
    except Refusal as refusal:
        form.add_error(None, str(refusal))
        return _page(request, link, ask_form=form, status=422)
    return redirect(f"{request.path.removesuffix('ask/')}#thread")


def _signature(request: HttpRequest, data: dict[str, Any]) -> Signature:
    browser = request.headers.get("User-Agent", "")
    return Signature(data["name"], data.get("role", ""), get_client_ip_address(request), browser)


def _chosen(request: HttpRequest, link: QuoteLink) -> list[int]:
    """Positions of the optional lines that are ticked; what can't be one is none."""
    asked = request.POST if request.method == "POST" else request.GET
    optional = {str(line["position"]): line["position"] for line in link.revision.document["lines"] if line["is_optional"]}
    return sorted({optional[one] for one in asked.getlist("o") if one in optional})


# --- the page


def _page(
    request: HttpRequest,
    link: QuoteLink,
    *,
    accept_form: AcceptForm | None = None,
    decline_form: DeclineForm | None = None,
    ask_form: AskForm | None = None,
    late: quoting.Why | None = None,
    status: int = 200,
) -> HttpResponse:
    if late:
        # It ended while the page was open: as it is now.
        link = QuoteLink.objects.select_related("revision__order__seller").get(pk=link.pk)
    document, acceptance = link.revision.document, getattr(link.revision, "acceptance", None)
    chosen = acceptance.chosen if acceptance else _chosen(request, link)
    objection = ""
    try:
        sheet = quote_document.sheet(document, link.valid_until, chosen)
    except ImpossibleChoice as impossible:
        objection, sheet = str(impossible), quote_document.sheet(document, link.valid_until)
    why = quoting.state_of(link, clock.now())
    typed = request.POST if request.method == "POST" else {}
    names = {"name": typed.get("name", ""), "role": typed.get("role", "")}
    context = {
        "link": link,
        "sheet": sheet,
        "why": why,
        "can_choose": why is None,
        "chosen_query": urlencode([("o", position) for position in chosen]),
        "late": late,
        "objection": objection,
        "acceptance": acceptance,
        "messages_of_thread": thread(link.revision),
        "accept_form": accept_form or AcceptForm(initial=names | {"content": link.revision.content_sha256}, document=document),
        "decline_form": decline_form or DeclineForm(prefix="no"),
        "ask_form": ask_form or AskForm(prefix="ask", document=document),
        "base": request.path
        if request.resolver_match and request.resolver_match.url_name == "quote"
        else request.path.rsplit("/", 2)[0] + "/",
        "has_logo": bool(link.revision.order.seller.logo),
    }
    return render(request, "quote/page.html", context, status=status)


def thread(revision: QuoteRevision) -> list[QuoteMessage]:
    """What was written about the revision, each with the title of the line that it is about."""
    titles, found = {line["position"]: line["title"] for line in revision.document["lines"]}, list(revision.messages.all())
    for message in found:
        message.line_title = titles.get(message.position, "")
    return found


@require_safe
@by_link
def logo(request: HttpRequest, link: QuoteLink) -> HttpResponse:
    """The seller's logo, for who has the link."""
    content = logos.of(link.revision.order.seller.logo)
    return HttpResponse(content, content_type="image/png") if content else HttpResponse(status=404)
