"""Opens an installation of LubeLogger in whatever form its owner has it: its documents and its files."""

import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from motovaultpro.lubelogger.importer.errors import ImportRefusedError
from motovaultpro.lubelogger.importer.files import (
    DirectoryFiles,
    NoFiles,
    SourceFiles,
    ZipFiles,
    reading,
)
from motovaultpro.lubelogger.importer.postgres import PostgresStore
from motovaultpro.lubelogger.litedb import (
    Database,
    Document,
    LiteDBError,
    PasswordNeededError,
    open_backup,
    open_database,
)

DATABASE_FILE: Final = "cartracker.db"
POSTGRES_SCHEMES: Final = ("postgresql://", "postgres://")


@dataclass(frozen=True, slots=True)
class SourceOptions:
    password: str | None = None
    salvage: bool = False
    files: Path | None = None
    """A data directory for the files, where SOURCE has none."""


@dataclass(frozen=True, slots=True)
class Source:
    """`documents` by collection; `root_config` and `server_config` are the parsed configuration files ({} = absent).

    `label` names it in reports and holds no password; `installation` tells one installation from another.
    """

    label: str
    installation: str
    documents: Mapping[str, Sequence[Document]]
    files: SourceFiles
    problems: Sequence[str] = ()
    root_config: Mapping[str, Any] = field(default_factory=dict)  # Any: JSON
    server_config: Mapping[str, Any] = field(default_factory=dict)

    def of(self, collection: str) -> Sequence[Document]:
        return self.documents.get(collection, ())


def open_source(source: str, options: SourceOptions | None = None) -> Source:
    """Read all documents of SOURCE into memory. Raises `ImportRefusedError` with one clear line."""
    options = options or SourceOptions()
    try:
        if source.startswith(POSTGRES_SCHEMES):
            return _open_postgres(source, options)
        return _open_path(Path(source), options)
    except LiteDBError as error:
        hint = " (--password or --password-file)" if isinstance(error, PasswordNeededError) else ""
        raise ImportRefusedError(f"{source}: {error}{hint}") from error
    except OSError as error:
        raise ImportRefusedError(f"{source}: {error.strerror or error}") from error


def _open_path(path: Path, options: SourceOptions) -> Source:
    if path.is_dir():
        data = next((d for d in (path, path / "data") if (d / DATABASE_FILE).is_file()), None)
        if data is None:
            raise ImportRefusedError(f"{path}: there is no {DATABASE_FILE} in this directory")
        return _from_database(path, _open_database(data / DATABASE_FILE, options), path, options)
    if path.is_file() and zipfile.is_zipfile(path):
        database = open_backup(path, password=options.password, salvage=options.salvage)
        with reading(str(path)):
            files = ZipFiles(path)
        return _source(
            str(path), database, DirectoryFiles(options.files) if options.files else files
        )
    return _from_database(path, _open_database(path, options), path.parent, options)


def _from_database(path: Path, database: Database, root: Path, options: SourceOptions) -> Source:
    return _source(str(path), database, DirectoryFiles(options.files or root))


def _open_database(path: Path, options: SourceOptions) -> Database:
    return open_database(path, password=options.password, salvage=options.salvage)


def _source(label: str, database: Database, files: SourceFiles) -> Source:
    documents = {name: list(database.read(name)) for name in database.collections}
    server_config = _config(files, "serverConfig.json")
    problems = [str(problem) for problem in database.problems]
    if server_config.get("POSTGRES_CONNECTION"):
        problems.append(
            "this installation is configured to keep its records in PostgreSQL: what is in this file may be old."
            " Import its postgresql:// address instead."
        )
    created = database.created.isoformat() if database.created else "unknown"
    return Source(
        label=label,
        installation=f"litedb {created}",
        documents=documents,
        files=files,
        problems=problems,
        root_config=_config(files, "userConfig.json"),
        server_config=server_config,
    )


def _open_postgres(address: str, options: SourceOptions) -> Source:
    files: SourceFiles = DirectoryFiles(options.files) if options.files else NoFiles()
    store = PostgresStore.read(address)
    return Source(
        label=store.label,
        installation=store.installation,
        documents=store.documents,
        files=files,
        problems=store.problems,
        root_config=_config(files, "userConfig.json"),
        server_config=_config(files, "serverConfig.json"),
    )


def _config(files: SourceFiles, name: str) -> dict[str, Any]:
    with reading(f"config/{name}"):
        raw = files.read_config(name)
    if raw is None:
        return {}
    try:
        config = json.loads(raw.decode("utf-8-sig"))
    except ValueError as error:
        raise ImportRefusedError(f"config/{name} is not JSON: {error}") from error
    if not isinstance(config, dict):
        raise ImportRefusedError(f"config/{name} does not hold a JSON object")
    return config
