"""What the aliases of a registered model name, remembered in the home so that a server can start while MLflow is down."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile

from tidemill.stores.held_versions import held_folder

CHAMPION, CHALLENGER, PREVIOUS, FROZEN = "champion", "challenger", "previous", "frozen"
SHADOW, CANARY = "shadow", "canary"
CANARY_PERCENT = "canary_percent"  # a tag of the registered model
DEFAULT_PERCENT = 5.0  # where somebody sets the alias alone


@dataclass(frozen=True)
class Named:
    """What the aliases of a registered model name.

    Args:
        versions: by alias.
        canary_percent: the share of keys that the canary answers.
    """

    versions: Mapping[str, int]
    canary_percent: float = DEFAULT_PERCENT


def percent_of(tag: str) -> float:
    """The share that a tag says, 0 to 100; the default where it says none.

    >>> percent_of("12.5"), percent_of(""), percent_of("all"), percent_of("700")
    (12.5, 5.0, 5.0, 100.0)
    """
    with suppress(ValueError):
        percent = float(tag)
        if percent == percent:  # NaN is none
            return min(max(percent, 0.0), 100.0)
    return DEFAULT_PERCENT


def hold_aliases(home: Path, name: str, named: Named) -> None:
    """Remember what the aliases name; whoever reads meanwhile sees the old or the new."""
    file = _file(home, name)
    file.parent.mkdir(parents=True, exist_ok=True)
    with NamedTemporaryFile("w", dir=file.parent, prefix="aliases.", delete=False) as fresh:
        json.dump(asdict(named), fresh)
    Path(fresh.name).rename(file)


def held_aliases(home: Path, name: str) -> Named | None:
    """What was remembered last; None if nothing was.

    >>> import tempfile; home = Path(tempfile.mkdtemp())
    >>> hold_aliases(home, "shop.refund", Named({"champion": 3}, 10.0)); held_aliases(home, "shop.refund"), held_aliases(home, "other")
    (Named(versions={'champion': 3}, canary_percent=10.0), None)
    """
    try:
        return Named(**json.loads(_file(home, name).read_text()))
    except FileNotFoundError:
        return None


def _file(home: Path, name: str) -> Path:
    return held_folder(home, name, 0).with_name("aliases.json")
