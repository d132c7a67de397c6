"""Where the page points to: MLflow, Prefect and reports. A link from a store is followed only if it is a web address or a path."""

from __future__ import annotations

from urllib.parse import quote, urlsplit
from uuid import UUID

from tidemill.settings import Settings


def safe_link(url: str | None) -> str | None:
    """`url` if a browser may follow it from this page, else None: no script, no other scheme, no address of another host by `//`.

    >>> safe_link("http://127.0.0.1:5000/#/models"), safe_link("javascript:alert(1)"), safe_link("/docs"), safe_link("//elsewhere/")
    ('http://127.0.0.1:5000/#/models', None, '/docs', None)
    """
    if not url:
        return None
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    if parts.scheme in ("http", "https") and parts.netloc:
        return url
    return url if not parts.scheme and not parts.netloc and url.startswith("/") and not url.startswith("/\\") else None


def model_link(settings: Settings, registered_name: str) -> str:
    """The registered model in MLflow."""
    return f"{settings.mlflow_uri.rstrip('/')}/#/models/{quote(registered_name, safe='')}"


def experiments_link(settings: Settings) -> str:
    """The experiments in MLflow."""
    return f"{settings.mlflow_uri.rstrip('/')}/#/experiments"


def prefect_link(settings: Settings) -> str:
    """Prefect's own page.

    >>> prefect_link(Settings())
    'http://127.0.0.1:4200'
    """
    return settings.prefect_api_url.rstrip("/").removesuffix("/api")


def flow_run_link(settings: Settings, flow_run_id: str | None) -> str | None:
    """The flow run in Prefect; None if there was none (a retrain by hand makes up its id).

    >>> flow_run_link(Settings(), "123e4567-e89b-12d3-a456-426614174000")
    'http://127.0.0.1:4200/runs/flow-run/123e4567-e89b-12d3-a456-426614174000'
    >>> flow_run_link(Settings(), "by hand") is None
    True
    """
    try:
        return f"{prefect_link(settings)}/runs/flow-run/{UUID(flow_run_id or '')}"
    except ValueError:
        return None
