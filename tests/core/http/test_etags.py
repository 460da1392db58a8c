import pytest
from fastapi import Request

from motovaultpro.core.errors import PreconditionFailedError
from motovaultpro.core.http.etags import check_if_match, etag, json_response

BODY = b'{"id":3}'
TAG = etag(BODY)


def request(method: str = "GET", **headers: str) -> Request:
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "method": method, "headers": raw})


def test_an_answer_carries_its_tag_and_may_only_be_kept_by_its_owner() -> None:
    response = json_response(request(), BODY.decode(), headers={"X-Total": "1"})
    assert response.status_code == 200
    assert response.body == BODY
    assert response.headers["content-type"] == "application/json"
    assert response.headers["etag"] == TAG
    assert response.headers["cache-control"] == "private, no-cache"
    assert response.headers["vary"] == "Authorization, Cookie, X-API-Key"
    assert response.headers["x-total"] == "1"


def test_tags_differ_with_the_body() -> None:
    assert etag(b"a") != etag(b"b")


@pytest.mark.parametrize("known", [TAG, f'"x,y", {TAG}', f"W/{TAG}", "*", " * "])
def test_a_copy_that_is_still_right_is_not_sent_again(known: str) -> None:
    response = json_response(request(if_none_match=known), BODY)
    assert response.status_code == 304
    assert response.body == b""
    assert response.headers["etag"] == TAG
    assert response.headers["cache-control"] == "private, no-cache"
    assert "content-type" not in response.headers


@pytest.mark.parametrize("known", ['"other"', TAG.strip('"'), ""])
def test_another_copy_is_replaced(known: str) -> None:
    assert json_response(request(if_none_match=known), BODY).status_code == 200


@pytest.mark.parametrize(("method", "status"), [("POST", 200), ("GET", 201)])
def test_only_a_read_is_conditional(method: str, status: int) -> None:
    response = json_response(request(method, if_none_match=TAG), BODY, status=status)
    assert response.status_code == status


@pytest.mark.parametrize("wanted", [None, TAG, f'"other", {TAG}', "*"])
def test_a_change_of_the_version_that_was_read_goes_on(wanted: str | None) -> None:
    check_if_match(request("PUT", **({"if_match": wanted} if wanted else {})), BODY.decode())


@pytest.mark.parametrize("wanted", ['"other"', f"W/{TAG}", "", "garbage"])
def test_a_change_of_another_version_is_refused(wanted: str) -> None:
    with pytest.raises(PreconditionFailedError):
        check_if_match(request("PUT", if_match=wanted), BODY)
