"""Whatever a client sends, the answer is a documented one, and never a 500."""

import subprocess
import sys
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import text

from motovaultpro.core.security.opaque import new_token, token_hash
from tests.factories.garages import Garage, make_vehicle

SCHEMATHESIS = Path(sys.executable).with_name("schemathesis")
EXAMPLES = "8"


async def api_key(garage: Garage) -> str:
    """A key of the owner with every scope."""
    key = new_token("mvk")
    async with garage.database.session(garage.tenant_id) as session:
        await session.execute(
            text(
                "INSERT INTO api_keys (tenant_id, user_id, name, key_hash, scopes)"
                " VALUES (:tenant, :user, 'test', :hash, ARRAY['view', 'edit', 'delete'])"
            ),
            {"tenant": garage.tenant_id, "user": garage.owner.user_id, "hash": token_hash(key)},
        )
    return key


RECORDS: dict[str, dict[str, Any]] = {
    "fuel-records": {"filled_on": "2026-01-03", "odometer": 10, "volume": 10, "cost": 15},
    "maintenance-records": {
        "performed_on": "2026-01-03",
        "kind": "service",
        "description": "Oil",
        "cost": 40,
    },
    "odometer-records": {"recorded_on": "2026-01-03", "odometer": 10},
}


async def configuration(garage: Garage) -> str:
    """Where there is something to find: ids of a vehicle, and of a record of each kind; another vehicle to delete."""
    vehicle, doomed = await make_vehicle(garage.client), await make_vehicle(garage.client)
    lines = [
        "[generation]",
        "with-security-parameters = false",
        "[parameters]",
        f"vehicle_id = {vehicle['id']}",
        "[[operations]]",
        'include-method = "DELETE"',
        'include-path = "/api/v1/vehicles/{vehicle_id}"',
        f"parameters = {{ vehicle_id = {doomed['id']} }}",
    ]
    for path, fields in RECORDS.items():
        created = await garage.client.post(f"/api/v1/vehicles/{vehicle['id']}/{path}", json=fields)
        assert created.status_code == httpx.codes.CREATED, created.text
        lines += [
            "[[operations]]",
            f'include-path = "/api/v1/vehicles/{{vehicle_id}}/{path}/{{record_id}}"',
            f"parameters = {{ vehicle_id = {vehicle['id']}, record_id = {created.json()['id']} }}",
        ]
    return "\n".join(lines)


@pytest.mark.timeout(300)
async def test_generated_requests_find_no_server_error_and_no_undocumented_answer(
    garage: Garage, backend: str, tmp_path: Path
) -> None:
    (tmp_path / "schemathesis.toml").write_text(await configuration(garage))
    run = subprocess.run(  # noqa: ASYNC221 - nothing else happens meanwhile
        [
            SCHEMATHESIS,
            "run",
            f"{backend}/api/openapi.json",
            "--header",
            f"x-api-key: {await api_key(garage)}",
            "--checks",
            "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance",
            "--phases",
            "examples,coverage,fuzzing",
            "--max-examples",
            EXAMPLES,
            "--continue-on-failure",
            "--no-color",
        ],
        cwd=tmp_path,
        check=False,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stdout[-8000:]


BODIES = {
    "malformed JSON": (b'{"make": ', 400),
    "no JSON at all": (b"\xff\xfe\x00", 400),
    "another type": (b"[]", 422),
    "null": (b"null", 422),
    "NUL": (b'{"make": "a\\u0000b"}', 400),
    "half a surrogate pair": (b'{"make": "\\ud800"}', 400),
    "a huge number": (b'{"make": "x", "purchase_price": 1e400}', 422),
    "NaN": (b'{"make": "x", "purchase_price": NaN}', 422),
    "deep nesting": (b'{"make": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", 400),
    "an unknown field": (b'{"make": "x", "wings": 2}', 422),
    "an invalid date": (b'{"make": "x", "purchased_on": "2026-02-30"}', 422),
    "too large": (b'{"make": "' + b"x" * 2_000_000 + b'"}', 413),
}


@pytest.mark.parametrize("name", BODIES)
async def test_a_bad_body_is_a_problem_and_changes_nothing(
    garage: Garage, backend: str, name: str
) -> None:
    body, status = BODIES[name]
    async with httpx.AsyncClient(
        base_url=backend, headers={"x-api-key": await api_key(garage)}
    ) as client:
        answer = await client.post(
            "/api/v1/vehicles", content=body, headers={"Content-Type": "application/json"}
        )
    assert answer.status_code in {status, 422}, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["correlation_id"] == answer.headers["x-correlation-id"]
    assert "Traceback" not in answer.text
    assert await garage.count("vehicles") == 0


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/vehicles/0",
        "/api/v1/vehicles/-1",
        f"/api/v1/vehicles/{2**63}",
        f"/api/v1/vehicles/{'9' * 400}",
        "/api/v1/vehicles/x",
        "/api/v1/vehicles/%00",
        "/api/v1/vehicles/%ff",
        "/api/v1/vehicles?limit=501",
        "/api/v1/vehicles?cursor=%00",
        "/api/v1/vehicles?tag=%00",
        "/api/v1/vehicles/1/fuel-records?cursor=zzz",
        "/api/v1/vehicles/1/fuel-records?from=yesterday",
        "/api/v1/documents/1/content",
    ],
)
async def test_a_bad_address_is_a_problem(garage: Garage, backend: str, path: str) -> None:
    async with httpx.AsyncClient(
        base_url=backend, headers={"x-api-key": await api_key(garage)}
    ) as client:
        answer = await client.get(path)
    assert answer.status_code in {400, 404, 422}, answer.text
    assert answer.headers["content-type"] == "application/problem+json"


async def test_an_expired_token_is_401(backend: str) -> None:
    async with httpx.AsyncClient(base_url=backend) as client:
        for headers in (
            {"Authorization": "Bearer eyJhbGciOiJub25lIn0.e30."},
            {"x-api-key": uuid4().hex},
            {"Cookie": f"mv_session={uuid4().hex}"},
        ):
            answer = await client.get("/api/v1/vehicles", headers=headers)
            assert answer.status_code == httpx.codes.UNAUTHORIZED
            assert answer.headers["content-type"] == "application/problem+json"
