"""Files made from the code: the OpenAPI document, the configuration page, the capsule list. `--check` fails on drift."""

import sys
from pathlib import Path

import orjson
from pydantic import SecretStr

from motovaultpro.app import create_app
from motovaultpro.core.settings import (
    DatabaseSettings,
    SecuritySettings,
    Settings,
    StorageSettings,
    described,
)

ROOT = Path(__file__).parent.parent


def openapi() -> str:
    settings = Settings(
        database=DatabaseSettings(url=SecretStr("postgresql://example")),
        storage=StorageSettings(url="file:///example"),
        security=SecuritySettings(secret_key=SecretStr("x" * 32)),
    )
    document = create_app(settings).openapi()
    return orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS).decode() + "\n"


def configuration() -> str:
    lines = [
        "# Configuration",
        "",
        "Written by `make fmt` from `src/motovaultpro/core/settings.py`; do not edit.",
        "",
        "A setting comes from the first place that has it: the environment (`MVP_SERVER__PORT=8000`), a secret file",
        "(`/run/secrets/server__port`, or another directory named by `MVP_SECRETS_DIR`), the TOML file named by",
        "`MVP_CONFIG_FILE` (`[server]` / `port = 8000`). `motovault config check` says what is missing or wrong, one line",
        "each; `motovault config show` shows all values, secrets hidden.",
        "",
        "Every process keeps at most `MVP_DATABASE__POOL_MAX` connections, one more to listen, and a worker",
        "`MVP_WORKER__CONCURRENCY` + 2 of its own: PostgreSQL's `max_connections` must be above the sum over all processes,",
        "plus 20 for migrations, backups and people.",
        "",
        "| variable | default | meaning |",
        "|---|---|---|",
    ]
    lines += [
        f"| `{item.variable}` | `{item.default}` | {item.description} |" for item in described()
    ]
    return "\n".join(lines) + "\n"


GENERATED = {"docs/openapi.json": openapi, "docs/operations/configuration.md": configuration}


def main() -> int:
    is_check = "--check" in sys.argv[1:]
    stale = []
    for name, make in GENERATED.items():
        file, content = ROOT / name, make()
        if file.exists() and file.read_text() == content:
            continue
        stale.append(name)
        if not is_check:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(content)
    if is_check and stale:
        print(f"Out of date, run make fmt: {', '.join(stale)}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
