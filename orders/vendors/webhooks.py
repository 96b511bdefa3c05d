"""Events that a vendor sends unasked (Partner Center webhooks): what one is, whom it is about, and whether it is genuine. No Django.

Source: Partner Center REST, "Partner Center webhooks": the envelope {EventName, ResourceUri, ResourceName, AuditUri,
ResourceChangeUtcDate}, signed over the raw body by the certificate that X-MS-Certificate-Url names. That address is a stranger's
word, so it is followed only to hosts that are known, and ResourceUri is never followed. Events may be two days late: age is no
reason to refuse one, and one that is sent again costs a question at most.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from orders.vendors.answers import json_bytes, parsed, text
from orders.vendors.contract import Answer, NothingSent, OutcomeUnknown
from orders.vendors.http import Client, ForbiddenAddress, Login

# What must be kept of a request to verify it later; names in small letters.
SIGNED_HEADERS = ("authorization", "x-ms-signature", "x-ms-signature-algorithm", "x-ms-certificate-url")
ALGORITHM = "rsa-sha256"
FETCH_SECONDS = 10.0
MAX_CERTIFICATE_BYTES = 64 * 1024
KEPT_SECONDS = 3600.0
MOST_KEPT = 20
SMALLEST_KEY = 2048
_CUSTOMER = re.compile(r"/customers/([0-9A-Za-z-]{1,100})(?:/|$)", re.IGNORECASE)
# By address, in memory only: the certificate, and until when it is used without asking again.
_kept: dict[str, tuple[x509.Certificate, float]] = {}


class NotGenuine(Exception):
    """The event did not come from the vendor, or nothing proves that it did."""


class CannotTell(Exception):
    """The certificate could not be fetched now; the same event may be looked at again later."""


@dataclass(frozen=True, slots=True)
class Trust:
    """Whose certificates are believed. `own` is the account's own address, believed where loopback is allowed; `authorities` is PEM
    of those that must have signed the certificate, empty where the known host's TLS says enough."""

    hosts: frozenset[str]
    organisation: str
    own: str = ""
    authorities: bytes = b""


def identity_of(body: bytes) -> str:
    """What makes it one event, however often it is delivered. Empty when the body is no event."""
    event = _event(body)
    named = [text(event, key) for key in ("EventName", "ResourceUri", "ResourceChangeUtcDate")]
    return hashlib.sha256(json_bytes(named)).hexdigest() if all(named) else ""


def customer_of(body: bytes) -> str:
    """The vendor's id of the customer that the event is about; empty when it names none."""
    found = _CUSTOMER.search(text(_event(body), "ResourceUri"))
    return found[1] if found else ""


def name_of(body: bytes) -> str:
    return text(_event(body), "EventName")


def _event(body: bytes) -> dict[str, object]:
    return parsed(Answer(200, {}, body))


def verify(headers: Mapping[str, str], body: bytes, trust: Trust, now: datetime) -> None:
    """Raises NotGenuine, or CannotTell. `headers` are SIGNED_HEADERS."""
    if headers.get("x-ms-signature-algorithm", "").strip().lower() != ALGORITHM:
        raise NotGenuine(f"Not signed with {ALGORITHM}.")
    signature = _signature(headers)
    certificate = _certificate(headers.get("x-ms-certificate-url", ""), trust)
    _check_certificate(certificate, trust, now)
    key = certificate.public_key()
    if not isinstance(key, rsa.RSAPublicKey) or key.key_size < SMALLEST_KEY:
        raise NotGenuine("The certificate’s key is no RSA key of 2048 bits or more.")
    try:
        key.verify(signature, body, padding.PKCS1v15(), hashes.SHA256())
    except InvalidSignature as error:
        raise NotGenuine("The signature does not fit the body.") from error


def _signature(headers: Mapping[str, str]) -> bytes:
    """From x-ms-signature, or from Authorization with the scheme Signature."""
    scheme, _, token = headers.get("authorization", "").strip().partition(" ")
    said = headers.get("x-ms-signature", "").strip() or (token.strip() if scheme.lower() == "signature" else "")
    try:
        found = base64.b64decode(said, validate=True)
    except (binascii.Error, ValueError) as error:
        raise NotGenuine("The signature can’t be read.") from error
    if not found:
        raise NotGenuine("There is no signature.")
    return found


def _certificate(url: str, trust: Trust) -> x509.Certificate:
    """The certificate at an address that we may ask, read once an hour."""
    is_own = _check_url(url, trust)
    kept, until = _kept.get(url, (None, 0.0))
    if kept and time.monotonic() < until:
        return kept
    answer = _fetch(url, allow_loopback=is_own)
    if answer.status >= 500 or answer.status in {408, 429}:
        raise CannotTell(f"The certificate’s host answered {answer.status}.")
    if answer.status != 200 or len(answer.body) > MAX_CERTIFICATE_BYTES:
        raise NotGenuine(f"There is no certificate at the address (HTTP {answer.status}).")
    found = _read(answer.body)
    if len(_kept) >= MOST_KEPT:
        _kept.clear()
    _kept[url] = (found, time.monotonic() + KEPT_SECONDS)
    return found


def _check_url(url: str, trust: Trust) -> bool:
    """Whether it is the account's own address. Raises NotGenuine for an address that is neither that nor a known host's, by https."""
    try:
        parts, own = urlsplit(url), urlsplit(trust.own)
        place, home = (parts.scheme, parts.hostname, parts.port), (own.scheme, own.hostname, own.port)
    except ValueError as error:
        raise NotGenuine("The certificate’s address can’t be read.") from error
    if parts.username or parts.password:
        raise NotGenuine("The certificate’s address holds a login.")
    if trust.own and place == home:
        return True
    if parts.scheme != "https" or (parts.hostname or "") not in trust.hosts or parts.port not in {None, 443}:
        raise NotGenuine("The certificate’s address is not one of the vendor’s.")
    return False


def _fetch(url: str, *, allow_loopback: bool) -> Answer:
    login = Login("certificates", url, url, "", "", "", deadline_seconds=FETCH_SECONDS, allow_loopback=allow_loopback)
    try:
        client = Client(login)
    except ForbiddenAddress as error:
        raise NotGenuine(str(error)) from error
    try:
        return client.send("GET", url, {"Accept": "*/*"}, b"")
    except (NothingSent, OutcomeUnknown) as error:
        raise CannotTell(f"The certificate could not be fetched: {error}") from error
    finally:
        client.close()


def _read(body: bytes) -> x509.Certificate:
    """PEM or DER."""
    try:
        return x509.load_pem_x509_certificate(body) if b"-----BEGIN" in body else x509.load_der_x509_certificate(body)
    except ValueError as error:
        raise NotGenuine("What lies at the address is no certificate.") from error


def _check_certificate(certificate: x509.Certificate, trust: Trust, now: datetime) -> None:
    """In its time, of the expected organisation, and signed by an authority of ours where we name some."""
    if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
        raise NotGenuine("The certificate is not valid now.")
    named = {str(part.value) for part in certificate.subject.get_attributes_for_oid(x509.NameOID.ORGANIZATION_NAME)}
    if trust.organisation not in named:
        raise NotGenuine(f"The certificate is not of {trust.organisation}.")
    authorities = x509.load_pem_x509_certificates(trust.authorities) if trust.authorities else []
    if authorities and not any(_has_signed(authority, certificate) for authority in authorities):
        raise NotGenuine("The certificate is not signed by an authority that we trust.")


def _has_signed(authority: x509.Certificate, certificate: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True
