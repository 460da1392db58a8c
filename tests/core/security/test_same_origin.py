import pytest

from motovaultpro.core.security.same_origin import CrossSiteError, check_same_origin

PUBLIC = "https://garage.example.org"


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "get"])
def test_safe_methods_may_come_from_anywhere(method: str) -> None:
    check_same_origin(method, {"sec-fetch-site": "cross-site", "origin": "https://evil"}, PUBLIC)


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "same-origin", "origin": PUBLIC},
        {"sec-fetch-site": "none"},
        {"origin": PUBLIC},
        {"origin": "https://GARAGE.example.org:443"},
        {"sec-fetch-site": "cross-site", "origin": PUBLIC},
        {"origin": "http://192.168.1.5:8080", "host": "192.168.1.5:8080"},
        {"origin": "http://nas", "host": "nas:80"},
        {},
    ],
    ids=[
        "our page",
        "typed by the user",
        "browser without fetch metadata",
        "same origin, spelt otherwise",
        "our page calling another host of ours",
        "LAN address over http",
        "default port",
        "a script",
    ],
)
def test_our_own_pages_and_scripts_pass(headers: dict[str, str]) -> None:
    check_same_origin("POST", headers, PUBLIC)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "delete", "LINK"])
@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site", "origin": "https://blog.example.org"},
        {"sec-fetch-site": "cross-site", "origin": "https://e.org", "host": "e.org"},
        {"sec-fetch-site": "", "origin": "https://evil.org"},
        {"origin": "https://evil.org", "host": "garage.example.org"},
        {"origin": "http://garage.example.org"},
        {"origin": "https://garage.example.org:8443"},
        {"origin": "https://garage.example.org.evil.org"},
        {"origin": "null", "host": "null"},
        {"origin": ""},
        {"origin": "", "host": ""},
        {"origin": "https://[", "host": "["},
        {"origin": "https://a:99999", "host": "a:99999"},
        {"origin": "file://", "host": ""},
    ],
    ids=str,
)
def test_pages_of_others_are_refused(method: str, headers: dict[str, str]) -> None:
    with pytest.raises(CrossSiteError) as refusal:
        check_same_origin(method, headers, PUBLIC)

    assert (refusal.value.status, refusal.value.code) == (403, "cross_site")
