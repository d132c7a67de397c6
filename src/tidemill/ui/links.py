"""Where the page points to: MLflow, Prefect and reports. A link from a store is followed only if it is a web address or a path."""

from __future__ import annotations

from urllib.parse import quote, urlsplit

from tidemill.pages import Pages


def safe_link(url: str | None) -> str | None:
    """`url` if a browser may follow it from this page, else None: no script, no other scheme, no address of another host by `//`.

    >>> safe_link("http://127.0.0.1:5000/#/models"), safe_link("javascript:alert(1)"), safe_link("/docs"), safe_link("//elsewhere/")
    ('http://127.0.0.1:5000/#/models', None, '/docs', None)
    """
    if not url or not url.isprintable():  # browsers leave out a tab or a new line, and go elsewhere
        return None
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    if parts.scheme in ("http", "https") and parts.netloc:
        return url
    return url if not parts.scheme and not parts.netloc and url.startswith("/") and not url.startswith("/\\") else None


def model_link(pages: Pages, registered_name: str) -> str:
    """The registered model in MLflow."""
    return f"{pages.mlflow}/#/models/{quote(registered_name, safe='')}"


def stored_link(pages: Pages, link: object) -> str | None:
    """What a store has as a link, as it is followed from this page; None if it is none, or is not to be followed.

    >>> from tidemill.settings import Settings
    >>> stored_link(Pages.of(Settings()), "http://127.0.0.1:5000/#/experiments/1"), stored_link(Pages.of(Settings()), None)
    ('/mlflow/#/experiments/1', None)
    """
    return safe_link(pages.shown(link)) if isinstance(link, str) else None
