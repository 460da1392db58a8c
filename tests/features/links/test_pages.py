from base64 import b64encode
from hashlib import sha256

import httpx
import pytest
from fastapi import FastAPI

from tests.factories.garages import anonymous_client


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("/setup", "/api/auth/setup"),
        ("/reset-password", "/api/auth/password-reset/confirm"),
    ],
)
async def test_a_link_opens_a_form_that_may_run_its_own_script_only(
    app: FastAPI, path: str, target: str
) -> None:
    async with anonymous_client(app) as client:
        answer = await client.get(f"{path}?token=secret")
    assert answer.status_code == httpx.codes.OK
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert f'data-target="{target}"' in answer.text
    assert "secret" not in answer.text
    script = answer.text.partition("<script>")[2].partition("</script>")[0]
    source = b64encode(sha256(script.encode()).digest()).decode()
    policy = answer.headers["content-security-policy"]
    assert f"script-src 'sha256-{source}'" in policy
    assert "default-src 'none'" in policy
    assert answer.headers["referrer-policy"] == "no-referrer"
