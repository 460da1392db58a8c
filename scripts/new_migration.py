"""An empty migration after the newest: `make migration NAME=add_tyre_sets`."""

import re
import sys

from alembic import command

from motovaultpro.migrations.runner import alembic_config, head


def main() -> int:
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    if not re.fullmatch(r"[a-z][a-z0-9_]{2,50}", name):
        print("Name it in lower case: make migration NAME=add_tyre_sets", file=sys.stderr)
        return 2
    number = f"{int(head()) + 1:04d}"
    config = alembic_config()
    config.set_main_option("file_template", f"{number}_%%(slug)s")
    command.revision(config, message=name, rev_id=number)
    return 0


if __name__ == "__main__":
    sys.exit(main())
