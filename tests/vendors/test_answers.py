"""Reading what a vendor, or whoever stands before him, answers. No network."""

import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from orders.vendors.answers import (
    NOT_SHOWN,
    access_token,
    is_json,
    is_own_error,
    login_refusal,
    parsed,
    refusal_of,
    retry_after,
    without_secrets,
)
from orders.vendors.contract import Answer

SECRET = "s3cr/t+of ours&more"
TOKEN = "eyJhbGciOi.eyJzdWIi.c2lnbmF0dXJl"
JSON_VALUES = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats() | some.text(),
    lambda inner: (
        some.lists(inner) | some.dictionaries(some.text() | some.sampled_from(["code", "error", "errors", "data", "message"]), inner)
    ),
)


def an(body: object, status: int = 400) -> Answer:
    """An answer with this body; what is not bytes goes as JSON."""
    return Answer(status, {}, body if isinstance(body, bytes) else json.dumps(body).encode())


# --- code and words


@pytest.mark.parametrize(
    ("body", "code", "words"),
    [
        pytest.param({"code": 3000, "description": "Bad.", "data": []}, "3000", "Bad.", id="Partner Center"),
        pytest.param({"statusCode": 429, "message": "Wait."}, "429", "Wait.", id="throttled"),
        pytest.param({"error": "invalid_grant", "error_description": "Gone."}, "invalid_grant", "Gone.", id="Entra"),
        pytest.param({"code": "1117", "message": "Bad.", "additionalDetails": ["a.b"]}, "1117", "Bad.\na.b", id="Adobe"),
        pytest.param({"error": {"code": 400, "status": "NO", "message": "Bad."}}, "NO", "Bad.", id="Google"),
        pytest.param({"error_code": "VAL_1", "errors": ["One.", "Two."]}, "VAL_1", "One.\nTwo.", id="CloudBlue"),
        pytest.param({"error_code": "403003", "message": "Api Key is invalid"}, "403003", "Api Key is invalid", id="Adobe's gateway"),
        pytest.param({"Message": "Failed.", "ExceptionMessage": "Null."}, "", "Failed.\nNull.", id="ASP.NET"),
        pytest.param({"Code": "3000", "Description": "Bad."}, "3000", "Bad.", id="capitals"),
        pytest.param(
            {"type": "about:blank", "title": "Invalid", "status": 400, "detail": "See below.", "errors": {"Email": ["Not one.", "Long."]}},
            "",
            "Invalid\nSee below.\nEmail: Not one.\nEmail: Long.",
            id="Problem Details",
        ),
        pytest.param({"odata.error": {"code": "Bad", "message": {"lang": "en", "value": "Words."}}}, "Bad", "Words.", id="OData 3"),
        pytest.param({"error": {"code": "Bad", "message": {"lang": "en", "value": "Words."}}}, "Bad", "Words.", id="OData 4"),
        pytest.param([{"code": "1", "message": "One."}, {"code": "2", "message": "Two."}], "1", "One.\nTwo.", id="array"),
        pytest.param({"errors": [{"code": "7", "message": "Seven."}]}, "7", "Seven.", id="list of errors"),
        pytest.param({"fault": {"faultstring": "No key", "detail": {"errorcode": "oauth.v2"}}}, "oauth.v2", "No key", id="Apigee"),
        pytest.param({"error": "Not Found", "message": "No handler"}, "", "Not Found\nNo handler", id="Spring"),
        pytest.param(b"<Error><Code>Denied</Code><Message>Not &lt;you&gt;.</Message></Error>", "Denied", "Not <you>.", id="XML"),
        pytest.param(b"<?xml version='1.0'?><a><b>Some</b> <c>words</c></a>", "", "Some words", id="other XML"),
        pytest.param(b"<!DOCTYPE html><html><head><title>502 Bad Gateway</title></head><p>x</html>", "", "502 Bad Gateway", id="page"),
        pytest.param(b"<html><body>It works!</body></html>", "", "", id="page without a title"),
        pytest.param('{"code": 1, "description": "Größe"}'.encode("latin-1"), "1", "Größe", id="Latin-1"),
        pytest.param('{"code": 1, "description": "Größe"}'.encode("utf-16"), "1", "Größe", id="UTF-16"),
        pytest.param('{"code": 1, "description": "Größe"}'.encode("utf-16-le"), "1", "Größe", id="UTF-16 without a mark"),
        pytest.param("Größe".encode("utf-16"), "", "Größe", id="words in UTF-16"),
        pytest.param(b"\xef\xbb\xbf" + b'{"code": 1, "description": "Bad."}', "1", "Bad.", id="byte-order mark"),
        pytest.param(b"  As it\tis. \n", "", "  As it\tis. \n", id="plain"),
        pytest.param(b"long " * 1000, "", "long " * 1000, id="long"),
        pytest.param(b'{"code": 3000, "descr', "", '{"code": 3000, "descr', id="cut off"),
        pytest.param("Busy.", "", "Busy.", id="a JSON text"),
        pytest.param({"reasons": {"of": 1}}, "", '{"reasons": {"of": 1}}', id="nothing known"),
        pytest.param({}, "", "", id="empty object"),
        pytest.param(b" \r\n", "", "", id="blank"),
        pytest.param({"code": " 4115 ", "message": "x"}, "4115", "x", id="code with spaces"),
        pytest.param({"code": 3000.0, "message": "x"}, "3000", "x", id="code with a fraction"),
        pytest.param({"code": True, "message": "x"}, "", "x", id="no code"),
        pytest.param({"code": {"a": 1}, "message": ["x", "y"]}, "", "x\ny", id="odd types"),
        pytest.param({"code": "1117", "additionalDetails": 5}, "1117", "5", id="details are a number"),
        pytest.param({"code": "1117", "additionalDetails": True}, "1117", "", id="details are true"),
        pytest.param({"code": "1117", "additionalDetails": "companyProfile"}, "1117", "companyProfile", id="details are a text"),
    ],
)
def test_code_and_words_are_found_in_every_shape(body: object, code: str, words: str) -> None:
    refusal = refusal_of(an(body))
    assert (refusal.code, refusal.text) == (code, words)


DEEP = b"[" * 5000 + b"]" * 5000


def holds(answer: Answer) -> None:
    """What must be so of any answer."""
    refusal = refusal_of(answer)
    assert isinstance(refusal.code, str)
    assert isinstance(refusal.text, str)
    assert isinstance(refusal.field, str)
    assert isinstance(parsed(answer), dict)
    assert is_json(answer) in {True, False}
    assert {is_own_error(answer, dialect) for dialect in ("adobe", "partner_center")} <= {True, False}
    assert isinstance(login_refusal(answer) + access_token(answer), str)
    assert isinstance(without_secrets(answer.body, (SECRET,)), bytes)


@given(some.binary())
def test_no_bytes_break_the_reading(body: bytes) -> None:
    holds(an(body))


@given(JSON_VALUES, some.sampled_from(["utf-8", "utf-16", "utf-32"]))
def test_no_json_breaks_the_reading(value: Any, encoding: str) -> None:
    holds(an(json.dumps(value).encode(encoding)))


@pytest.mark.parametrize(
    "body",
    [
        DEEP,
        b'{"a":' * 5000 + b"1" + b"}" * 5000,
        b"[" * 200_000,
        b'{"password":' * 5000,
        b"9" * 5000,
        b"<title>" * 150_000,
        b"\xff\xfe\x00",
    ],
)
def test_nothing_deep_or_endless_breaks_the_reading(body: bytes) -> None:
    holds(an(body))


@given(some.text())
def test_no_header_breaks_the_wait(value: str) -> None:
    wait = retry_after(Answer(429, {"Retry-After": value}, b""))
    assert wait is None or timedelta() <= wait <= timedelta(hours=1)


# --- whose error it is


@pytest.mark.parametrize(
    ("body", "of_adobe", "of_partner_center"),
    [
        ({"code": "1117", "message": "Bad.", "additionalDetails": []}, True, True),
        ({"code": 3000, "description": "Bad.", "data": [], "source": "PartnerFD"}, False, True),
        ({"code": 3000, "message": "Bad.", "description": "Bad.", "errorName": "x"}, False, True),
        ({"error": {"code": "3000", "message": "Bad."}}, False, True),
        ({"error": {"code": 400, "status": "FAILED_PRECONDITION", "message": "Bad."}}, False, False),
        ({"error": "invalid_grant", "error_description": "Bad."}, False, False),
        ({"error": "Not Found", "message": "No handler"}, False, False),
        ({"error_code": "403003", "message": "Api Key is invalid"}, False, False),
        ({"error_code": "VAL_1", "errors": ["Bad."]}, False, False),
        ({"statusCode": 400, "message": "Bad."}, False, False),
        ({"code": 400, "message": "Bad Request"}, False, False),
        ({"code": "3000"}, False, False),
        ({"Code": "3000", "Message": "Bad."}, False, False),
        ({"title": "Bad", "status": 400, "code": "3000", "message": "Bad."}, False, False),
        ({"errors": [{"code": "3000", "message": "Bad."}]}, False, False),
        ([{"code": "3000", "message": "Bad."}], False, False),
        (b"<Error><Code>3000</Code><Message>Bad.</Message></Error>", False, False),
    ],
)
def test_only_the_documented_shape_is_the_vendors_own(body: object, *, of_adobe: bool, of_partner_center: bool) -> None:
    assert (is_own_error(an(body), "adobe"), is_own_error(an(body))) == (of_adobe, of_partner_center)


@pytest.mark.parametrize(
    ("status", "body", "refused"),
    [
        (400, {"error": "invalid_client"}, "invalid_client"),
        (401, {"error": "unauthorized_client"}, "unauthorized_client"),
        (400, {"error": "interaction_required"}, "interaction_required"),
        (403, {"error": "access_denied"}, "access_denied"),
        (400, {"error": "temporarily_unavailable"}, ""),
        (400, {"error": "server_error"}, ""),
        (400, {"error": "slow_down"}, ""),
        (500, {"error": "invalid_client"}, ""),
        (429, {"error": "invalid_client"}, ""),
        (400, {"error": f"bad {SECRET}"}, ""),
        (400, {"error": {"code": "invalid_client"}}, ""),
        (403, b"<html>Forbidden</html>", ""),
        (302, b"", ""),
        (200, {"access_token": None}, ""),
    ],
)
def test_only_the_login_services_own_no_refuses_a_login(status: int, body: object, refused: str) -> None:
    assert login_refusal(an(body, status)) == refused


@pytest.mark.parametrize("token", [None, 5, True, ["x"], {"a": 1}, "", "two words", "line\nbreak", "é"])
def test_what_can_not_stand_in_a_header_is_no_token(token: object) -> None:
    assert access_token(an({"access_token": token}, 200)) == ""


# --- secrets


@pytest.mark.parametrize(
    "body",
    [
        {"code": 1, "description": f"Bad header Authorization: Bearer {TOKEN}"},
        {f"Bearer {TOKEN}": 1},
        {"message": f"Unknown token {TOKEN}."},
        f"Bad header Authorization: bearer {TOKEN}".encode(),
        f"<p>Bearer%20{TOKEN}</p>".encode(),
        f'{{"a":"Bearer {TOKEN}","a":"b"}}'.encode(),
        f"Bearer {TOKEN}".encode("utf-16"),
        {"error": f"Bad client secret {SECRET}"},
        b"client_secret=s3cr%2Ft%2Bof+ours%26more is wrong",
        b"<p>s3cr/t+of ours&amp;more</p>",
        {"userCredentials": {"userName": "x", "password": "Sbx!1"}},
        {"newPassword": "Sbx!1"},
        {"accessToken": "Sbx!1"},
        b'{"pass\\u0077ord": "Sbx!1"}',
        b'{"pass\\u0077ord": "Sbx!1", "cut": ',
        b'{"password": "Sbx!1", "cut": ',
        json.dumps({"password": "Sbx!1"}).encode("utf-16"),
        json.dumps({"password": "Sbx!1"}).encode("utf-16-le"),
        json.dumps({"password": "Sbx!1"}).encode("utf-16")[:-3],
        json.dumps({"password": "Sbx!1"}).encode("utf-32"),
        {"message": json.dumps({"password": "Sbx!1"})},
        b"<Password>Sbx!1</Password>",
        b"user=x&password=Sbx!1",
        b"Temporary password: Sbx!1",
        b'{"password":' * 5000 + b'"Sbx!1"',
        b'[{"password": "Sbx!1"},' + DEEP + b"]",
    ],
)
def test_secrets_are_blanked_in_every_dress(body: object) -> None:
    cleaned = without_secrets(an(body).body, (SECRET,))
    readable = cleaned.replace(b"\0", b"")
    for secret in (TOKEN, TOKEN[10:], SECRET, "ours&", "ours%26", "Sbx!1"):
        assert secret.encode() not in readable
    assert cleaned, "Something is left to read."


@pytest.mark.parametrize(
    "body",
    [
        b"The password policy refuses this.",
        b"Password: must be longer.",
        b"The bearer token is invalid.",
        b"Invalid bearer token.",
        b'{ "description" : "The password policy refuses this." }',
        '{"description": "Größe"}'.encode("latin-1"),
        '{"description": "Größe"}'.encode("utf-16"),
        b'{"price": NaN}',
        b"\xff\x00\xfe",
        b"",
    ],
)
def test_what_holds_no_secret_stays_to_the_byte(body: bytes) -> None:
    assert without_secrets(body, (SECRET, "", "no")) == body


def test_words_before_a_secrets_name_are_kept() -> None:
    assert without_secrets(b"Refused. password=Sbx!1") == b"Refused. " + NOT_SHOWN.encode()
