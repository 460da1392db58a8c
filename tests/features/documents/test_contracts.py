import time
from typing import Any

import pytest
from pydantic import ValidationError

from motovaultpro.features.documents.contracts import AttachmentWrite


@pytest.mark.parametrize(
    "target",
    [
        {"document_id": 1},
        {"url": "https://example.org/manual?page=3#oil"},
        {"url": "HTTP://münchen.example/straße"},
        {"target_type": "fuel", "target_id": 2},
    ],
)
def test_accepts_one_target(target: dict[str, Any]) -> None:
    AttachmentWrite.model_validate({"name": "a", **target})


@pytest.mark.parametrize(
    "target",
    [
        {},
        {"document_id": 1, "url": "https://example.org"},
        {"url": "https://example.org", "target_type": "fuel", "target_id": 2},
        {"target_type": "fuel"},
        {"target_id": 2},
        {"document_id": 1, "target_id": 2},
        {"target_type": "spaceship", "target_id": 2},
        {"document_id": 0},
        {"document_id": 2**63},
        {"url": "https://"},
        {"url": "javascript:alert(1)"},
        {"url": "data:text/html,x"},
        {"url": "//example.org"},
        {"url": "https://example.org/a b"},
        {"url": "https://example.org/\u202e"},
        {"url": "https://example.org/\n"},
        {"url": " https://example.org/"},
        {"url": "https://example.org/" + "x" * 2000},
        {"document_id": 1, "name": ""},
        {"document_id": 1, "name": "two\nlines"},
        {"document_id": 1, "surprise": True},
    ],
)
def test_refuses_anything_else(target: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        AttachmentWrite.model_validate({"name": "a", **target})


def test_a_long_address_that_is_none_is_refused_in_no_time() -> None:
    started = time.thread_time()
    for _ in range(20):
        with pytest.raises(ValidationError):
            AttachmentWrite(name="x", url="https://" + "a" * 1990 + " ")
    assert time.thread_time() - started < 0.1  # squared, it were half a second
