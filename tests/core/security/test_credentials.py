import base64
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import Headers, QueryParams

from motovaultpro.core.errors import UnauthorizedError
from motovaultpro.core.security.credentials import (
    ApiKey,
    BasicLogin,
    BearerToken,
    Credentials,
    SessionCookie,
    extract,
)


def basic(login: str, encoding: str = "utf-8") -> str:
    return "Basic " + base64.b64encode(login.encode(encoding)).decode()


def test_a_request_may_carry_nothing() -> None:
    assert extract({}, {}, {}) is None
    assert extract({"x-api-key": " "}, {"mv_session": ""}, {"apiKey": "", "page": "1"}) is None


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"authorization": "Bearer a.b-c_d"}, BearerToken("a.b-c_d")),
        ({"authorization": "bearer  abc=="}, BearerToken("abc==")),
        ({"authorization": basic("ada:secret")}, BasicLogin("ada", "secret")),
        ({"authorization": basic("ada:a:b:c")}, BasicLogin("ada", "a:b:c")),
        ({"authorization": basic("ada:")}, BasicLogin("ada", "")),
        ({"authorization": basic("zoë:naïve")}, BasicLogin("zoë", "naïve")),
        ({"authorization": basic("zoë:naïve", "latin-1")}, BasicLogin("zoë", "naïve")),
        ({"authorization": basic("ada:x").replace("Basic", "BASIC")}, BasicLogin("ada", "x")),
        ({"x-api-key": " 0123abcd "}, ApiKey("0123abcd")),
    ],
)
def test_reads_headers(headers: dict[str, str], expected: Credentials) -> None:
    assert extract(headers, {}, {}) == expected
    assert extract(Headers({name.title(): value for name, value in headers.items()}), {}, {}) == (
        expected
    )


@pytest.mark.parametrize("name", ["apiKey", "apikey", "ApiKey", "APIKEY"])
def test_reads_the_query_parameter_in_any_case(name: str) -> None:
    assert extract({}, {}, QueryParams(f"vehicleId=1&{name}=0123abcd")) == ApiKey("0123abcd")


def test_the_first_kind_present_counts() -> None:
    headers = {"authorization": "Bearer t", "x-api-key": "h"}
    cookies = {"mv_session": "c"}
    query = {"apiKey": "q"}

    assert extract(headers, cookies, query) == BearerToken("t")
    del headers["authorization"]
    assert extract(headers, cookies, query) == SessionCookie("c")
    del cookies["mv_session"]
    assert extract(headers, cookies, query) == ApiKey("h")
    del headers["x-api-key"]
    assert extract(headers, cookies, query) == ApiKey("q")


@pytest.mark.parametrize(
    "value",
    [
        "",
        "  ",
        "Bearer",
        "Bearer ",
        "Bearer a b",
        "Bearer é",
        "Basic",
        "Basic ???",
        "Basic é",
        "Basic YQ",
        basic("no colon"),
        basic("nul\x00:secret"),
        basic("line\nbreak:secret"),
        "Digest username=ada",
        "Negotiate YQ==",
        "ada:secret",
    ],
)
def test_a_wrong_authorization_header_never_falls_through(value: str) -> None:
    with pytest.raises(UnauthorizedError):
        extract({"authorization": value, "x-api-key": "k"}, {"mv_session": "c"}, {"apiKey": "q"})


@given(st.text(), st.sampled_from(["", "Basic ", "Bearer ", "basic", "BEARER\t"]))
def test_any_authorization_header_is_credentials_or_unauthorized(rest: str, scheme: str) -> None:
    with suppress(UnauthorizedError):
        found = extract({"authorization": scheme + rest}, {}, {})
        assert isinstance(found, BearerToken | BasicLogin)


@given(st.binary())
def test_any_basic_payload_is_a_login_or_unauthorized(payload: bytes) -> None:
    header = "Basic " + base64.b64encode(payload).decode()

    with suppress(UnauthorizedError):
        found = extract({"authorization": header}, {}, {})
        assert isinstance(found, BasicLogin)
        assert ":" not in found.user_name
        assert "\x00" not in found.user_name


@given(
    st.text(st.characters(codec="utf-8", exclude_characters=":", exclude_categories=["Cc"])),
    st.text(st.characters(codec="utf-8")),
)
def test_basic_logins_survive_the_journey(user_name: str, password: str) -> None:
    header = basic(f"{user_name}:{password}")

    assert extract({"authorization": header}, {}, {}) == BasicLogin(user_name, password)


@pytest.mark.parametrize(
    "credentials",
    [
        BearerToken("hidden"),
        BasicLogin("ada", "hidden"),
        SessionCookie("hidden"),
        ApiKey("hidden"),
    ],
)
def test_secrets_do_not_show_when_printed(credentials: Credentials) -> None:
    assert "hidden" not in repr(credentials)
