"""Files that are made from the code are committed as they would be made now."""

import pytest

from scripts.generate import GENERATED, ROOT


@pytest.mark.parametrize("name", GENERATED)
def test_is_up_to_date(name: str) -> None:
    assert (ROOT / name).read_text() == GENERATED[name](), f"{name} is out of date: run make fmt"
