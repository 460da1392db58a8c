"""Renders every migration as SQL and lints it with squawk: what would lock or rewrite a table must not get in."""

import io
import subprocess
import sys
import tempfile
from pathlib import Path

from alembic import command
from alembic.script import ScriptDirectory

from motovaultpro.migrations.runner import alembic_config

# Style, not safety (ISO codes of three letters, small counters, the job library's own varchar), or done elsewhere: env.py
# sets the timeouts, and each migration is one transaction.
EXCLUDED = "ban-char-field,prefer-bigint-over-int,prefer-text-field,prefer-robust-stmts,require-timeout-settings,prefer-identity"


def rendered(down: str, up: str) -> str:
    buffer = io.StringIO()
    config = alembic_config()
    config.output_buffer = buffer
    config.attributes["app_role"] = "motovault_app"
    command.upgrade(config, f"{down}:{up}", sql=True)
    return buffer.getvalue()


def main() -> int:
    revisions = list(ScriptDirectory.from_config(alembic_config()).walk_revisions())
    if not revisions:
        print("no migrations found", file=sys.stderr)  # a check that looked at nothing must fail
        return 1
    with tempfile.TemporaryDirectory() as directory:
        files = []
        for script in revisions:
            down = script.down_revision if isinstance(script.down_revision, str) else "base"
            file = Path(directory) / f"{script.revision}.sql"
            file.write_text(rendered(down, script.revision))
            files.append(str(file))
        squawk = Path(sys.executable).with_name("squawk")
        lint = subprocess.run(  # noqa: S603 - our own tool on our own files
            [squawk, "--exclude", EXCLUDED, *files],
            check=False,
            capture_output=True,
            text=True,
        )
    if lint.returncode:
        print(lint.stdout + lint.stderr, file=sys.stderr)
    return lint.returncode


if __name__ == "__main__":
    sys.exit(main())
