"""`motovault worker`: run background jobs."""

from motovaultpro.cli.settings import settings_or_exit


def worker() -> None:
    """Run background jobs and schedules until a signal. Any number of workers may run."""
    settings = settings_or_exit()
    from motovaultpro.worker import run  # noqa: PLC0415 - other commands need not wait for it

    run(settings)
