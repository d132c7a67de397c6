"""How the processes of `make test` share the tests.

A file stays in one process, with the fixtures of its module. So do all files that ask for Prefect or MLflow, which take half a minute to
start: there is one server of each a session. Every process starts the other servers that it needs for itself. Whatever takes longest
is begun first, so that none is left alone with it in the end.
"""

from __future__ import annotations

import pytest
from xdist.scheduler import LoadGroupScheduling

_TOGETHER = {"prefect_api_url", "mlflow_uri"}
_FIRST = ["tests/integration/test_demo.py", "tests/integration/test_chaos.py", "tests/integration", "tests/contracts"]


class ByFile(LoadGroupScheduling):  # type: ignore[misc]  # xdist has no types
    """Hands out whole files, or all that is marked as one group."""

    def _split_scope(self, nodeid: str) -> str:
        scope: str = super()._split_scope(nodeid)
        return scope.partition("::")[0]


def arrange(items: list[pytest.Item]) -> None:
    """Mark what stays together, and bring what takes longest to the front; the rest keeps its order."""
    together = {item.path for item in items if _TOGETHER & set(getattr(item, "fixturenames", ()))}
    for item in items:
        if item.path in together:
            item.add_marker(pytest.mark.xdist_group("servers"))
    items.sort(key=_place)


def _place(item: pytest.Item) -> int:
    if item.get_closest_marker("xdist_group"):
        return 0
    return next((place for place, begin in enumerate(_FIRST) if item.nodeid.startswith(begin)), len(_FIRST))
