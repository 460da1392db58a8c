"""Installations of LubeLogger with invented data."""

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from tests.factories.litedb_file import make_file

Document = dict[str, Any]  # Any: BSON's values
JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00" + bytes(200)
PDF = b"%PDF-1.7\n%invented\n"


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def midnight(day: str, *, hours_east: int = 0) -> datetime:
    """A local midnight as LiteDB stores it."""
    return datetime.fromisoformat(day).replace(tzinfo=UTC) - timedelta(hours=hours_east)


def vehicle(number: int = 1, **fields: Any) -> Document:
    return {
        "_id": number,
        "ImageLocation": "/defaults/noimage.png",
        "Year": 2014,
        "Make": "Lada",
        "Model": "Niva",
        "LicensePlate": f"IN-{number}",
        **fields,
    }


def gas(number: int, day: str = "2024-05-01", **fields: Any) -> Document:
    return {
        "_id": number,
        "VehicleId": 1,
        "Date": midnight(day),
        "Mileage": 1000 * number,
        "Gallons": Decimal("40.5"),
        "Cost": Decimal("71.25"),
        "IsFillToFull": True,
        "MissedFuelUp": False,
        **fields,
    }


def service(number: int, day: str = "2024-05-01", **fields: Any) -> Document:
    return {
        "_id": number,
        "VehicleId": 1,
        "Date": midnight(day),
        "Mileage": 1000 * number,
        "Description": f"Service {number}",
        "Cost": Decimal("19.90"),
        **fields,
    }


def odometer(number: int, day: str = "2024-05-01", **fields: Any) -> Document:
    return {
        "_id": number,
        "VehicleId": 1,
        "Date": midnight(day),
        "InitialMileage": 1000 * (number - 1),
        "Mileage": 1000 * number,
        **fields,
    }


def user(number: int, name: str, **fields: Any) -> Document:
    return {
        "_id": number,
        "UserName": name,
        "EmailAddress": f"{name}@example.org",
        "Password": sha256(f"password of {name}"),
        "IsAdmin": False,
        "IsRootUser": False,
        **fields,
    }


def access(user_id: int, vehicle_id: int = 1) -> Document:
    return {"_id": {"UserId": user_id, "VehicleId": vehicle_id}}


def attached(location: str, name: str = "bill.pdf") -> Document:
    return {"Name": name, "Location": location, "IsPending": False}


def write_backup(
    path: Path,
    collections: Mapping[str, Sequence[Document]],
    files: Mapping[str, bytes] | None = None,
    *,
    root_config: Document | None = None,
    server_config: Document | None = None,
    created_ticks: int = 638_396_640_000_000_000,
) -> Path:
    """A backup zip; `files` by location (`/documents/x.pdf`)."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("data/cartracker.db", make_file(collections, created_ticks=created_ticks))
        for location, content in (files or {}).items():
            archive.writestr(location.lstrip("/"), content)
        for name, config in (("userConfig", root_config), ("serverConfig", server_config)):
            if config is not None:
                archive.writestr(f"config/{name}.json", json.dumps(config))
    path.write_bytes(packed.getvalue())
    return path
