import tempfile
from pathlib import Path

import pytest


@pytest.fixture
def reachable_path(server_directory: Path) -> Path:
    """For this test. pytest's own directories are closed to other accounts, such as that of PostgreSQL under root."""
    path = Path(tempfile.mkdtemp(dir=server_directory))
    path.chmod(0o711)
    return path
