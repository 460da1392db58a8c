"""The settings of a running stack: for its services, and for commands that work on it."""

from motovaultpro.standalone.directory import DataDirectory
from motovaultpro.standalone.state import running_state

_SECRETS = ("database__url", "database__owner_url", "cache__url", "security__secret_key")
# Where the same could be said in whole, or in addition.
_OTHERS = ("MVP_DATABASE", "MVP_DATABASE__LISTEN_URL", "MVP_CACHE", "MVP_STORAGE")


def stack_environment(directory: DataDirectory) -> dict[str, str]:
    """The `MVP_*` variables with which this process reads the running stack's settings. Holds secrets.

    Raises `NotRunningError`.
    """
    public_url = running_state(directory).public_url
    secrets = {_variable(name): (directory.secrets / name).read_text() for name in _SECRETS}
    return _plain(directory, public_url) | secrets


def service_environment(directory: DataDirectory, public_url: str) -> dict[str, str | None]:
    """The same for a child: secrets stay in their files. None = must be unset, because what happens to be in the
    environment of whoever starts us would win over the files."""
    unset = dict.fromkeys((*map(_variable, _SECRETS), *_OTHERS))
    return unset | _plain(directory, public_url)


def _plain(directory: DataDirectory, public_url: str) -> dict[str, str]:
    return {
        "MVP_SECRETS_DIR": str(directory.secrets),
        "MVP_STORAGE__URL": directory.storage.as_uri(),
        "MVP_SERVER__PUBLIC_URL": public_url,
    }


def _variable(secret: str) -> str:
    return f"MVP_{secret.upper()}"
