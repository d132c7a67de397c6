from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.ui.ferry import Ferry


@pytest.fixture
def ferry(tmp_path: Path) -> Iterator[Ferry]:
    """A fresh ferry line."""
    made = Ferry.open(tmp_path)
    yield made
    made.close()
