"""Mails as they leave: plain text, one line of subject, addressed by the portal's own address and not by a request's."""

import logging
import re
import smtplib
from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.mail import EmailMessage, mailers
from django.core.mail.backends.base import BaseEmailBackend

from orders import clock
from orders.models import Seller, SentMail

log = logging.getLogger(__name__)
# Controls, and the characters that turn the direction of what follows them: a vendor's words must not dress up ours.
UNSEEMLY = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufffc]+")
LONGEST_SUBJECT = 150


class NotSent(Exception):
    """The mail has definitely not left; it may be tried again."""


class Unclear(Exception):
    """The connection broke while the mail was handed over: it may have left."""


class PortalMail(EmailMessage):
    """A mail of one seller. `is_private`: it holds a link that lets somebody in."""

    def __init__(self, seller: Seller, to: str, subject: str, body: str, *, is_private: bool = False, reply_to: Sequence[str] = ()) -> None:
        super().__init__(
            subject=one_line(subject, LONGEST_SUBJECT),
            body=body,
            from_email=settings.DEFAULT_FROM_EMAIL,
            to=[to],
            reply_to=list(reply_to) or None,
        )
        self.seller, self.is_private = seller, is_private


class KeptMail(BaseEmailBackend):
    """The demo's: mails go nowhere and can be read on a page."""

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        for message in email_messages:
            message.message()  # as a real one would: refuses broken headers
            SentMail.objects.create(
                seller=getattr(message, "seller", None),
                is_private=getattr(message, "is_private", False),
                recipients=", ".join(message.to)[:500],
                subject=str(message.subject)[:200],
                body=str(message.body),
                at=clock.now(),
            )
        return len(email_messages)


class NoMailHost(BaseEmailBackend):
    """Production without MAIL_HOST: nothing leaves, and what should have is tried again and reported."""

    def open(self) -> None:
        raise ConnectionRefusedError("MAIL_HOST is not set.")


def send(message: PortalMail) -> None:
    """Hand the mail over, once. Raises NotSent or Unclear; never called inside a transaction."""
    connection: Any = mailers.default
    try:
        connection.open()
    except (OSError, smtplib.SMTPException) as error:
        raise NotSent(f"{type(error).__name__}: {error}") from error
    try:
        connection.send_messages([message])
    except (smtplib.SMTPResponseException, smtplib.SMTPRecipientsRefused) as error:
        raise NotSent(f"{type(error).__name__}: {error}") from error
    except (OSError, smtplib.SMTPException) as error:
        raise Unclear(f"{type(error).__name__}: {error}") from error
    finally:
        connection.close()


def link(path: str) -> str:
    """The whole address of a page of the portal."""
    return f"{settings.PORTAL_URL}{path}"


def one_line(text: str, longest: int) -> str:
    """The text on one line, without what could hide or turn it, cut with an ellipsis."""
    text = " ".join(UNSEEMLY.sub(" ", text).split())
    return text if len(text) <= longest else f"{text[: longest - 1].rstrip()}…"
