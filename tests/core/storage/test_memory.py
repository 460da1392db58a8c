import asyncio
import json
import sys
from pathlib import Path

import pytest

from motovaultpro.core.settings import StorageSettings
from motovaultpro.standalone.components.objectstore import ObjectStore
from tests.core.storage.conftest import s3_settings
from tests.core.storage.uploads import MIB

PROGRAM = "tests.core.storage.passing_through"


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="measures with /proc")
async def test_a_large_file_passes_through_in_little_memory(object_store: ObjectStore) -> None:
    settings: StorageSettings = s3_settings(object_store)
    revealed = settings.model_dump(mode="json") | {
        "access_key_id": object_store.access_key_id,
        "secret_access_key": object_store.secret_access_key,
    }

    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        PROGRAM,
        json.dumps(revealed),
        "200",
        stdout=asyncio.subprocess.PIPE,
        cwd=Path(__file__).parents[3],
    )
    output, _ = await process.communicate()

    assert process.returncode == 0
    assert json.loads(output)["grown"] <= 64 * MIB, output
