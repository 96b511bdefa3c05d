"""Refresh tokens: each use gives a new one, and using the new one ends the old one.  And a vendor that counts calls."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from .client import OTHER_TENANT, TENANT, Box
from .conftest import Start, url_of

CONSENT = "the-first-refresh-token"


@pytest.fixture(scope="module")
def consented_url(start: Start, tmp_path_factory: pytest.TempPathFactory) -> str:
    ledger = tmp_path_factory.mktemp("consented") / "ledger.sqlite3"
    return url_of(start("--port", "0", "--ledger", str(ledger), "--calls-per-minute", "20", SANDBOX_REFRESH_TOKEN=CONSENT))


@pytest.fixture
def consented(consented_url: str) -> Iterator[Box]:
    with Box(consented_url) as client:
        client.control("POST", "reset")
        yield client
        assert client.kinds() == client.expected


def renew(box: Box, token: str, tenant: str = TENANT) -> httpx.Response:
    return box.ask_token(tenant, grant_type="refresh_token", refresh_token=token)


def test_each_use_gives_a_new_one_and_the_old_one_lives_until_that_is_used(consented: Box) -> None:
    first = renew(consented, CONSENT).json()
    assert first["refresh_token"] not in {"", CONSENT}
    assert consented.call("GET", "/customers", headers={"Authorization": f"Bearer {first['access_token']}"}).status_code == 200
    # The answer may have been lost: the old one still works.
    second = renew(consented, CONSENT).json()
    assert second["refresh_token"] != first["refresh_token"]
    assert renew(consented, second["refresh_token"]).status_code == 200
    answer = renew(consented, CONSENT)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")
    consented.expected = ["revoked_refresh_token"]


def test_tenants_have_their_own(consented: Box) -> None:
    token = renew(consented, CONSENT).json()["refresh_token"]
    assert renew(consented, token, OTHER_TENANT).json()["error"] == "invalid_grant"
    assert renew(consented, CONSENT, OTHER_TENANT).status_code == 200


def test_unused_for_ninety_days(consented: Box) -> None:
    token = renew(consented, CONSENT).json()["refresh_token"]
    consented.advance("P90D")
    assert "AADSTS700082" in renew(consented, token).json()["error_description"]


def test_without_a_consent_there_is_none(box: Box) -> None:
    assert renew(box, "").json()["error"] == "invalid_grant"
    assert "refresh_token" not in box.ask_token().json()


def test_no_refresh_token_is_shown_or_kept(consented: Box, tmp_path_factory: pytest.TempPathFactory) -> None:
    token = renew(consented, CONSENT).json()["refresh_token"]
    assert token not in consented.http.get("/__sandbox__/log").text
    assert CONSENT not in consented.http.get("/__sandbox__/log").text
    base: Path = tmp_path_factory.getbasetemp()
    kept = [file.read_bytes() for file in base.glob("consented*/ledger.sqlite3*")]
    assert kept
    assert not any(secret.encode() in content for content in kept for secret in (token, CONSENT))


def test_calls_are_counted_by_the_virtual_minute(consented: Box) -> None:
    consented.advance("PT1M")
    answers = [consented.call("GET", "/customers") for _ in range(45)]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert 5 <= len(refused) <= 25
    assert refused[0].json()["statusCode"] == 429
    assert 1 <= int(refused[0].headers["Retry-After"]) <= 60
    assert consented.call("GET", "/customers", tenant=OTHER_TENANT).status_code == 200
    consented.advance("PT1M")
    assert consented.call("GET", "/customers").status_code == 200


def test_a_token_that_is_refused_before_its_time(box: Box) -> None:
    box.control("POST", "faults", {"action": "token:expired_early"})
    assert box.call("GET", "/customers").status_code == 401
    assert box.call("GET", "/customers").status_code == 401
    box.tokens.clear()
    assert box.call("GET", "/customers").status_code == 200
