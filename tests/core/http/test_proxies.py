from ipaddress import ip_network
from typing import Any

import pytest

from motovaultpro.core.http.proxies import TrustedProxies

PROXIES = TrustedProxies([ip_network("10.0.0.0/8"), ip_network("::1/128")])


def seen(peer: str | None, *forwarded: str, proto: str | None = None) -> tuple[Any, str]:
    headers = [(b"x-forwarded-for", value.encode("latin-1")) for value in forwarded]
    if proto is not None:
        headers.append((b"x-forwarded-proto", proto.encode()))
    scope: dict[str, Any] = {
        "client": (peer, 1234) if peer else None,
        "scheme": "http",
        "headers": headers,
    }
    PROXIES.apply(scope, dict(headers))
    return scope["client"] and scope["client"][0], scope["scheme"]


@pytest.mark.parametrize(
    ("forwarded", "client"),
    [
        (["203.0.113.7"], "203.0.113.7"),
        (["6.6.6.6, 203.0.113.7"], "203.0.113.7"),
        (["6.6.6.6, 203.0.113.7, 10.0.0.2"], "203.0.113.7"),
        (["6.6.6.6", "203.0.113.7", "10.0.0.2"], "203.0.113.7"),
        (["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        (["garbage, 10.0.0.2"], "10.0.0.2"),
        (["garbage"], "10.0.0.1"),
        ([""], "10.0.0.1"),
        (["203.0.113.7:4711"], "203.0.113.7"),
        (["[2001:db8::7]:4711"], "2001:db8::7"),
        (["2001:db8::7"], "2001:db8::7"),
        (["::ffff:203.0.113.7"], "203.0.113.7"),
        (["\xff"], "10.0.0.1"),
    ],
)
def test_takes_the_address_the_outermost_proxy_saw(forwarded: list[str], client: str) -> None:
    assert seen("10.0.0.1", *forwarded)[0] == client


def test_looks_at_the_trustworthy_end_of_an_endless_chain() -> None:
    assert seen("10.0.0.1", "6.6.6.6," * 10_000 + "203.0.113.7")[0] == "203.0.113.7"


@pytest.mark.parametrize("peer", ["203.0.113.9", "testclient", None])
def test_believes_nobody_else(peer: str | None) -> None:
    assert seen(peer, "6.6.6.6", proto="https") == (peer, "http")


def test_a_proxy_may_speak_ipv6_for_ipv4() -> None:
    assert seen("::ffff:10.0.0.1", "203.0.113.7")[0] == "203.0.113.7"


@pytest.mark.parametrize(
    ("proto", "scheme"),
    [
        ("https", "https"),
        ("HTTPS", "https"),
        ("http, https", "https"),
        ("ftp", "http"),
        ("", "http"),
    ],
)
def test_takes_the_scheme_the_proxy_saw(proto: str, scheme: str) -> None:
    assert seen("10.0.0.1", proto=proto)[1] == scheme
