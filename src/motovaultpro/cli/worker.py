"""`motovault worker`: run background jobs."""

from motovaultpro.cli.settings import settings_or_exit


def worker() -> None:
    """Run background jobs and schedules until a signal. Any number of workers may run.

    Reads the settings from the environment; `motovault up` runs one already.

    Example: MVP_CONFIG_FILE=/etc/motovault.toml motovault worker
    """
    settings = settings_or_exit()
    from motovaultpro.worker import run  # noqa: PLC0415 - other commands need not wait for it

    run(settings)
