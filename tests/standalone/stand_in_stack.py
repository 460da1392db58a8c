"""A whole stack with stand-ins for our services: `python stand_in_stack.py DATA_DIR REPLICAS [MIGRATE_ROLE]`."""

import os
import sys
from pathlib import Path

from motovaultpro.core.clock import system_clock
from motovaultpro.standalone.components.errors import ComponentError
from motovaultpro.standalone.components.ports import free_port
from motovaultpro.standalone.directory import DataDirectory
from motovaultpro.standalone.logs import as_json
from motovaultpro.standalone.plan import Programs, StackOptions
from motovaultpro.standalone.stack import run_stack

STAND_IN = (sys.executable, str(Path(__file__).with_name("stand_in.py")))


def main(data_dir: str, replicas: str, migrate: str = "migrate") -> None:
    # For our children: measured, each killed one would leave half a coverage file.
    os.unsetenv("COVERAGE_PROCESS_CONFIG")
    directory = DataDirectory(Path(data_dir))
    programs = Programs(
        migrate=(*STAND_IN, migrate),
        backend=(*STAND_IN, "backend"),
        worker=(*STAND_IN, "worker", str(directory.root / "worker.json")),
        setup_link=(*STAND_IN, "setup-link"),
    )
    options = StackOptions(
        port=free_port(), replicas=int(replicas), rate_limit=100_000, programs=programs
    )
    try:
        run_stack(
            directory,
            options,
            system_clock,
            show=lambda line: print(as_json(line), flush=True),  # noqa: T201 - its output
            on_ready=lambda ready: print(f"READY {ready.setup_path}", flush=True),  # noqa: T201 - its output
        )
    except ComponentError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main(*sys.argv[1:])
