"""Logs: one JSON object per line on standard output (or text for people), from structlog and the standard library alike."""

import json
import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from functools import lru_cache
from typing import Any, TextIO

import orjson
import structlog
from structlog.types import EventDict, Processor, WrappedLogger

from motovaultpro.core.observability.context import current_context
from motovaultpro.core.settings import ObservabilitySettings

REDACTED = "[redacted]"

_SECRET_WORDS = (
    "password",
    "passwd",
    "token",
    "authorization",
    "secret",
    "apikey",
    "cookie",
    "credential",
    "privatekey",
)
_SEPARATORS = str.maketrans("", "", "_-. ")
_SECRET_IN_TEXT = re.compile(
    r"""
    (?P<assigned>(?:api[_-]?key|password|passwd|secret|token)["']?\s*[=:]\s*["']?)[^\s&"',;)}\]]+  # apiKey=..., 'token': ...
    | (?P<header>authorization["']?\s*[=:]\s*["']?(?:(?:bearer|basic|digest)\s+)?)[^\s"',]+
    | (?P<address>://[^\s:/@]*:)[^\s/]+(?=@)                                       # postgresql://user:...@host
    | \beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*                                            # a JSON web token
    """,
    re.IGNORECASE | re.VERBOSE,
)
# Libraries that write a line per call, with addresses that may hold keys.
_CHATTY_LOGGERS = ("httpx", "httpcore", "urllib3")


def configure_logging(settings: ObservabilitySettings, stream: TextIO | None = None) -> None:
    """Send every log of the process through one chain to `stream` (standard output)."""
    stream = stream or sys.stdout
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    chain: list[Processor] = [
        structlog.processors.format_exc_info,
        redact_secrets,
        add_context,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    render = (
        structlog.processors.JSONRenderer(serializer=_to_json)
        if settings.log_format == "json"
        else structlog.dev.ConsoleRenderer(
            colors=stream.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    )
    structlog.configure(
        processors=[*chain, render],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=stream),
        # Why: a cached logger outlives a later configuration, and would write to a stream that is gone.
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *chain],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, render],
        )
    )
    logging.basicConfig(handlers=[handler], level=level, force=True)
    logging.captureWarnings(capture=True)
    for name in _CHATTY_LOGGERS:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))


def add_context(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    context = current_context()
    if context is not None:
        event["correlation_id"] = context.correlation_id
        for key in ("trace_id", "user", "tenant"):
            value = getattr(context, key)
            if value is not None:
                event.setdefault(key, value)
    return event


def redact_secrets(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Blank values under secret-sounding keys at any depth, and secrets inside texts (addresses, tracebacks)."""
    _redact_items(event)
    return event


def _redact_items(items: MutableMapping[str, Any]) -> None:  # Any: a log event holds anything
    for key, value in items.items():
        if isinstance(value, str):
            items[key] = REDACTED if _is_secret(key) else redact_text(value)
        elif value is not None and not isinstance(value, bool | int | float):
            items[key] = REDACTED if _is_secret(key) else _redacted(value)


def _redacted(value: Any) -> Any:
    if isinstance(value, str):
        return redact_text(value)
    if isinstance(value, Mapping):
        copy = {str(key): item for key, item in value.items()}
        _redact_items(copy)
        return copy
    if isinstance(value, list | tuple | set | frozenset):
        return [_redacted(item) for item in value]
    if isinstance(value, BaseException):
        return redact_text(repr(value))
    return value


@lru_cache(maxsize=1024)
def _is_secret(key: str) -> bool:
    plain = key.translate(_SEPARATORS).lower()
    return any(word in plain for word in _SECRET_WORDS)


def redact_text(text: str) -> str:
    """The text without the values of passwords, tokens, keys and address credentials in it."""
    if "=" in text or ":" in text or "eyJ" in text:
        return _SECRET_IN_TEXT.sub(_blank, text)
    return text


def _blank(match: re.Match[str]) -> str:
    return (match["assigned"] or match["header"] or match["address"] or "") + REDACTED


def _to_json(event: EventDict, **_options: Any) -> str:
    try:
        return orjson.dumps(event, default=_text, option=orjson.OPT_NON_STR_KEYS).decode()
    except (
        TypeError
    ):  # a lone surrogate or an integer past 64 bits: rare, and no reason to lose the line
        return json.dumps(event, default=_text)


def _text(value: object) -> str:
    return redact_text(str(value))
