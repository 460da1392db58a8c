"""LubeLogger's PostgreSQL store, as documents of the same form as LiteDB's."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from typing import Any, Final, Self

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import dict_row
from psycopg.types.json import set_json_loads

from motovaultpro.lubelogger.importer.errors import ImportRefusedError
from motovaultpro.lubelogger.litedb import Document

_CONNECT_SECONDS: Final = 10
_WITH_DATA: Final = (
    "vehicles", "collisionrecords", "upgraderecords", "servicerecords", "gasrecords", "notes", "odometerrecords",
    "reminderrecords", "planrecords", "planrecordtemplates", "supplyrecords", "taxrecords", "inspectionrecords",
    "inspectionrecordtemplates", "equipmentrecords", "extrafields",
)  # fmt: skip

Row = Mapping[str, Any]  # Any: columns of all types


def _from_data(row: Row) -> Document:
    return {**_data(row), "_id": row["id"]}


def _from_config(row: Row) -> Document:
    # Why: some versions store the settings themselves, others the object around them.
    data = _data(row)
    return {"_id": row["id"], "UserConfig": data.get("UserConfig", data)}


def _from_household(row: Row) -> Document:
    identity: Document = {"ParentUserId": row["parentuserid"], "ChildUserId": row["childuserid"]}
    return {**_data(row), "_id": identity}


def _from_access(row: Row) -> Document:
    return {"_id": {"UserId": row["userid"], "VehicleId": row["vehicleid"]}}


def _from_api_key(row: Row) -> Document:
    return {**_data(row), "_id": row["id"], "UserId": row["userid"], "Key": row["apikey"]}


def _from_user(row: Row) -> Document:
    return {
        "_id": row["id"],
        "UserName": row["username"],
        "EmailAddress": row["emailaddress"],
        "Password": row["password"],
        "IsAdmin": row["isadmin"],
    }


def _from_token(row: Row) -> Document:
    return {"_id": row["id"], "Body": row["body"], "EmailAddress": row["emailaddress"]}


_READERS: Final[Mapping[str, Callable[[Row], Document]]] = {
    **dict.fromkeys(_WITH_DATA, _from_data),
    "userconfigrecords": _from_config,
    "userhouseholdrecords": _from_household,
    "useraccessrecords": _from_access,
    "apikeyrecords": _from_api_key,
    "userrecords": _from_user,
    "tokenrecords": _from_token,
}


@dataclass
class PostgresStore:
    label: str
    installation: str
    documents: dict[str, Sequence[Document]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    @classmethod
    def read(cls, address: str) -> Self:
        """All tables, of one moment. Raises `ImportRefusedError`, whose message holds no password."""
        try:
            given = conninfo_to_dict(address)
            label = f"postgresql://{given.get('host', 'localhost')}/{given.get('dbname', '')}"
        except psycopg.ProgrammingError as error:
            raise ImportRefusedError("this is not a postgresql:// address") from error
        conninfo = make_conninfo(
            address, connect_timeout=given.get("connect_timeout", _CONNECT_SECONDS)
        )
        try:
            with psycopg.connect(conninfo, row_factory=dict_row) as connection:
                connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
                connection.read_only = True
                set_json_loads(partial(json.loads, parse_float=Decimal), connection)
                return cls._from(connection, label)
        except psycopg.Error as error:
            reason = " ".join(str(error).split())
            raise ImportRefusedError(f"{label}: {reason}") from error

    @classmethod
    def _from(cls, connection: psycopg.Connection[Row], label: str) -> Self:
        tables = {
            str(row["relname"]): row["oid"]
            for row in connection.execute(
                "SELECT relname, oid FROM pg_class WHERE relnamespace = to_regnamespace('app') AND relkind IN ('r', 'p')"
            )
        }
        if "vehicles" not in tables:
            raise ImportRefusedError(f"{label}: this database holds no records of LubeLogger")
        store = cls(label=label, installation=f"{label} {tables['vehicles']}")
        for table, reader in _READERS.items():
            if table in tables:
                store.documents[table] = store._read(connection, table, reader)
        return store

    def _read(
        self, connection: psycopg.Connection[Row], table: str, reader: Callable[[Row], Document]
    ) -> list[Document]:
        rows = connection.execute(
            sql.SQL("SELECT * FROM app.{} ORDER BY 1, 2").format(sql.Identifier(table))
        )
        documents = []
        for row in rows:
            # Why: LubeLogger inserts {} and fills it in with a second statement; this one was cut off between them.
            if row.get("data") == {}:
                self.problems.append(f"{table}: record {row.get('id', '')} is empty")
                continue
            documents.append(reader(row))
        return documents


def _data(row: Row) -> dict[str, Any]:
    data = row.get("data")
    return dict(data) if isinstance(data, dict) else {}
