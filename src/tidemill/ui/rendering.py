"""HTML of the templates. Everything that is put in is escaped; a name that a template lacks is an error, not a blank."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from tidemill.ui import formats
from tidemill.ui.files import Files

_FILTERS = (
    formats.age,
    formats.amount,
    formats.date,
    formats.decimal,
    formats.figure,
    formats.interval,
    formats.iso,
    formats.metric,
    formats.percent,
    formats.rate,
    formats.seconds,
    formats.signed,
    formats.utc,
)


class Renderer:
    """Renders the page and its parts.

    Args:
        files: the static files, whose digests go into their addresses.
    """

    def __init__(self, files: Files) -> None:
        folder = Path(__file__).parent / "templates"
        self._templates = Environment(
            loader=FileSystemLoader(folder), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
        )
        self._templates.filters.update({each.__name__: each for each in _FILTERS})
        self._templates.globals["static"] = lambda path: f"/static/{path}?v={files[path].version}"

    def page(self, **shown: Any) -> str:
        """The whole page."""
        return self._templates.get_template("page.html").render(failure=None, **shown)

    def fragment(self, **shown: Any) -> str:
        """What is inside `main`: all parts."""
        return self._templates.get_template("overview.html").render(**shown)

    def part(self, part: str, **shown: Any) -> str:
        """One part with its mark, asked for when the mark has changed."""
        return self._templates.get_template("part.html").render(part=part, **shown)

    def inside(self, part: str, **shown: Any) -> str:
        """What a part shows."""
        return self._templates.get_template(f"{part}.html").render(**shown)

    def heat(self, **shown: Any) -> str:
        """The heat map of one model."""
        return self._templates.get_template("heat.html").render(**shown)

    def login(self, **shown: Any) -> str:
        """The page that asks for a key."""
        return self._templates.get_template("login.html").render(**shown)

    def docs(self) -> str:
        """The page that shows what can be asked over HTTP."""
        return self._templates.get_template("docs.html").render()

    def refusal(self, **shown: Any) -> str:
        """The page that says why a form was not taken."""
        return self._templates.get_template("refusal.html").render(**shown)

    def failure_page(self, message: str) -> str:
        """The whole page when nothing can be read; it goes on asking."""
        return self._templates.get_template("page.html").render(failure=message, user="")

    def failure(self, message: str) -> str:
        """What is inside `main` when nothing can be read."""
        return self._templates.get_template("failure.html").render(failure=message)
