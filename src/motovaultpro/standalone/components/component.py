"""What all components share: made ready once, started, probed, stopped."""

from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self

from motovaultpro.standalone.components.process import Command, Process


class Component(ABC):
    """A server of ours. A test uses it as a context manager; the supervisor calls the parts.

    `prepare` brings files into order and may take seconds, `command` says what to run,
    `is_ready` asks it without waiting long, `introduce` finishes what needs it running.
    """

    port: int

    def __init__(self) -> None:
        self._process: Process | None = None

    @abstractmethod
    def prepare(self) -> None: ...

    @abstractmethod
    def command(self) -> Command: ...

    @abstractmethod
    def is_ready(self) -> bool: ...

    def introduce(self) -> None:  # noqa: B027 - most components need nothing after their start
        """Runs once, when the server first answers."""

    def start(self) -> None:
        """Prepares, starts and waits until the server answers. Call it in the main thread. Raises `ComponentError`."""
        self.prepare()
        process = Process(self.command())
        self._process = process
        process.start()
        try:
            process.wait_ready(self.is_ready)
            self.introduce()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> int | None:
        """Answers the exit code; None if it did not run."""
        if self._process is None:
            return None
        code = self._process.stop()
        self._process = None
        return code

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
