import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest

from motovaultpro.core.database import Database
from motovaultpro.core.security.actor import Role
from motovaultpro.core.settings import Settings
from motovaultpro.features.users import facade as users
from tests.factories.garages import Garage, anonymous_client
from tests.factories.logins import PASSWORD, add_user, log_in, new_installation

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def motovault(settings: Settings, tmp_path: Path) -> Run:
    environment = {
        "MVP_DATABASE__URL": settings.database.url.get_secret_value(),
        "MVP_STORAGE__URL": settings.storage.url,
        "MVP_SECURITY__SECRET_KEY": settings.security.secret_key.get_secret_value(),
        "MVP_SECRETS_DIR": str(tmp_path),
    }

    def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "motovaultpro.cli", "users", *arguments],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


async def test_prints_a_link_with_which_a_user_chooses_a_password(
    garage: Garage, motovault: Run
) -> None:
    user_id, name = await add_user(garage)
    by_id = motovault(
        "reset-link", str(user_id)
    )  # all there is of an imported owner before the first sign-in
    assert by_id.stdout.startswith("http://localhost:8080/reset-password?token=mvl_")

    done = motovault("reset-link", name)

    assert (done.returncode, done.stderr) == (0, "")
    link = done.stdout.strip()
    assert link.startswith("http://localhost:8080/reset-password?token=mvl_")
    async with anonymous_client(garage.app) as guest:
        body = {"token": link.partition("token=")[2], "password": PASSWORD[::-1]}
        answer = await guest.post("/api/auth/password-reset/confirm", json=body)
        assert answer.status_code == 204
        await log_in(guest, name, PASSWORD[::-1])


def test_says_who_does_not_exist(motovault: Run) -> None:
    name = f"nobody-{uuid4()}"

    done = motovault("reset-link", name)

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"motovault: There is no user '{name}'.\n"


async def test_lists_everybody(garage: Garage, motovault: Run) -> None:
    user_id, name = await add_user(garage, role="viewer", disabled_at=garage.app.state.clock())

    lines = motovault("list").stdout.splitlines()

    assert f"{user_id}\t{name}\tviewer\tdisabled" in lines
    assert f"{garage.owner.user_id}\t{garage.owner.name}\towner\t" in lines


async def test_prints_where_the_first_owner_is_made_while_there_is_none(
    database: Database, motovault: Run
) -> None:
    async with new_installation(database) as tenant_id:
        done = motovault("setup-link")

        assert (done.returncode, done.stderr) == (0, "")
        assert re.fullmatch(r"/setup\?token=mvl_[\w-]+\n", done.stdout)

        async with database.session(tenant_id) as session:
            await users.create_imported_user(
                session, tenant_id, name=f"root-{uuid4()}", role=Role.OWNER
            )
        done = motovault("setup-link")
        assert (done.returncode, done.stdout) == (0, "")
        assert "There is an owner already" in done.stderr
