"""Garages full of invented data: made through the API and the facades, so that all that is derived is right."""

import asyncio
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, LiteralString
from uuid import UUID, uuid4

import httpx
import psycopg
from pydantic import SecretStr

from benchmarks.servers import ORIGIN
from motovaultpro.core.clock import system_clock
from motovaultpro.core.database import Database
from motovaultpro.core.security.credentials import SESSION_COOKIE
from motovaultpro.core.security.opaque import new_token, token_hash
from motovaultpro.core.settings import DatabaseSettings
from motovaultpro.core.units import VolumeUnit
from motovaultpro.features.fuel import facade as fuel
from motovaultpro.features.fuel.contracts import ImportedFuelRecord

_SERVICES = 6  # the dashboard shows five
_SEED = 4711

# `target` pairs each new vehicle with its energy source.
_COPY: LiteralString = """
    INSERT INTO fuel_records (tenant_id, vehicle_id, energy_source_id, filled_on, odometer, volume, volume_unit, cost,
           currency, is_full, is_missed, distance, segment_distance, segment_volume, notes)
    SELECT r.tenant_id, target.vehicle, target.source, filled_on, odometer, volume, volume_unit, cost,
           currency, is_full, is_missed, distance, segment_distance, segment_volume, notes
      FROM unnest(%(vehicles)s::bigint[], %(sources)s::bigint[]) AS target (vehicle, source), fuel_records r
     WHERE r.vehicle_id = %(copied)s ORDER BY target.vehicle, r.id
"""


@dataclass(frozen=True)
class Vehicle:
    id: int
    energy_source_id: int


@dataclass(frozen=True)
class Garage:
    """`cookies` has one header of a signed-in owner for each connection: one person's requests would share one load."""

    tenant_id: UUID
    cookies: Sequence[str]
    vehicles: Sequence[Vehicle]


def make_garage(
    app_url: str, url: str, *, people: int, vehicles: int, records: int, years: int
) -> Garage:
    """`records` fill-ups for each vehicle, up to today; `url` is the backend's."""
    tenant_id = uuid4()
    cookies = _add_people(app_url, tenant_id, people)
    with httpx.Client(
        base_url=url, headers={"Origin": ORIGIN, "Cookie": cookies[0]}, timeout=30, trust_env=False
    ) as client:
        made = [_add_vehicle(client, number) for number in range(vehicles)]
    asyncio.run(_import_fuel(app_url, tenant_id, made[0], records, years))
    _copy_fuel(app_url, tenant_id, made[0], made[1:])
    return Garage(tenant_id, cookies, made)


def settle(superuser_urls: Iterable[str]) -> None:
    """Let PostgreSQL finish now what it would do in the middle of a measurement. One address for each database."""
    for url in superuser_urls:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("VACUUM (ANALYZE)")
            connection.execute("CHECKPOINT")


def _add_people(app_url: str, tenant_id: UUID, people: int) -> list[str]:
    cookies = []
    with psycopg.connect(app_url) as connection:
        connection.execute("SELECT set_config('app.system', 'on', true)")
        connection.execute(
            "INSERT INTO tenants (id, name, currency, distance_unit, volume_unit) VALUES (%s, 'Benchmark', 'EUR', 'km', 'l')",
            (tenant_id,),
        )
        for _ in range(people):
            token = new_token("mvs")
            connection.execute(
                """
                WITH person AS (INSERT INTO users (name) VALUES (%(name)s) RETURNING id),
                     member AS (INSERT INTO memberships (tenant_id, user_id, role)
                                SELECT %(tenant)s, id, 'owner' FROM person RETURNING user_id)
                INSERT INTO sessions (tenant_id, user_id, kind, token_hash, is_remembered, expires_at)
                SELECT %(tenant)s, user_id, 'cookie', %(hash)s, true, now() + interval '1 day' FROM member
                """,
                {"name": uuid4().hex, "tenant": tenant_id, "hash": token_hash(token)},
            )
            cookies.append(f"{SESSION_COOKIE}={token}")
    return cookies


def _add_vehicle(client: httpx.Client, number: int) -> Vehicle:
    vehicle = _created(
        client,
        "/api/v1/vehicles",
        {
            "make": "Volkswagen",
            "model": "Golf Variant",
            "year": 2005 + number,
            "license_plate": f"B-MV {1000 + number}",
            "notes": "Winter tyres are in the cellar. Timing belt due at 180,000 km.",
            "tags": ["family", "diesel"],
            "energy_sources": [{"kind": "diesel", "volume_unit": "l", "capacity": "55"}],
        },
    )
    today = system_clock().date()
    for service in range(_SERVICES):
        _created(
            client,
            f"/api/v1/vehicles/{vehicle['id']}/maintenance-records",
            {
                "kind": "service",
                "performed_on": (today - timedelta(days=200 * service)).isoformat(),
                "description": "Oil, filters and a look at the brakes",
                "cost": "312.40",
            },
        )
    return Vehicle(vehicle["id"], vehicle["energy_sources"][0]["id"])


def _created(client: httpx.Client, path: str, body: dict[str, Any]) -> dict[str, Any]:  # Any: JSON
    answer = client.post(path, json=body)
    if answer.status_code != httpx.codes.CREATED:
        raise RuntimeError(f"{path}: {answer.status_code} {answer.text}")
    created: dict[str, Any] = answer.json()
    return created


async def _import_fuel(
    app_url: str, tenant_id: UUID, vehicle: Vehicle, records: int, years: int
) -> None:
    database = Database(
        DatabaseSettings(url=SecretStr(app_url), pool_min=1, statement_timeout_seconds=120)
    )
    await database.open()
    try:
        async with database.session(tenant_id) as session:
            fill_ups = _fill_ups(vehicle, records, years)
            await fuel.import_records(session, tenant_id, vehicle.id, fill_ups)
    finally:
        await database.close()


def _fill_ups(vehicle: Vehicle, records: int, years: int) -> list[ImportedFuelRecord]:
    chance = random.Random(_SEED)  # noqa: S311 - the same history in every run
    last: date = system_clock().date()
    days = 365 * years
    odometer = Decimal(12)
    fill_ups = []
    for number in range(records):
        litres = Decimal(chance.randint(2000, 5500)) / 100
        odometer += chance.randint(350, 900)
        fill_ups.append(
            ImportedFuelRecord(
                energy_source_id=vehicle.energy_source_id,
                filled_on=last - timedelta(days=days * (records - 1 - number) // records),
                odometer=odometer,
                volume=litres,
                volume_unit=VolumeUnit.L,
                cost=(litres * Decimal("1.689")).quantize(Decimal("0.01")),
                currency="EUR",
                is_full=number % 5 != 3,
                is_missed=number % 50 == 49,
                notes="Motorway" if number % 4 == 0 else "",
            )
        )
    return fill_ups


def _copy_fuel(app_url: str, tenant_id: UUID, source: Vehicle, targets: Sequence[Vehicle]) -> None:
    """Give the other vehicles the same derived history as it is: importing it for each would take minutes."""
    given = {
        "copied": source.id,
        "vehicles": [target.id for target in targets],
        "sources": [target.energy_source_id for target in targets],
    }
    with psycopg.connect(app_url) as connection:
        connection.execute("SELECT set_config('app.tenant_id', %s, true)", (str(tenant_id),))
        connection.execute(_COPY, given)
