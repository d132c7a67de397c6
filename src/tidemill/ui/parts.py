"""The parts of the page, and a mark of each: a digest of what it shows, so that a browser asks for a part only when that has changed."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from tidemill.ui.feature_shapes import feature_shapes
from tidemill.ui.files import read_files
from tidemill.ui.lights import headline, read_lights
from tidemill.ui.overview import Overview
from tidemill.ui.quality_series import series_revision
from tidemill.ui.rendering import Renderer

PARTS = ("glance", "streams", "models", "drift", "decisions", "alerts", "features")  # in the order of the page
Marks = Mapping[str, str]
_ANYBODY = {"user": "", "may_operate": True, "token": ""}  # a mark is the same for all who look, whatever each of them may do


class Shown:
    """What the templates are given of a look, made once for each look however many ask.

    Args:
        renderer: of the templates.
    """

    def __init__(self, renderer: Renderer | None = None) -> None:
        self._renderer = renderer or Renderer(read_files())
        self._lock = threading.Lock()
        self._last: tuple[Overview, dict[str, Any]] | None = None

    def of(self, seen: Overview) -> dict[str, Any]:
        """The look, what follows from it, and `marks`, the mark of each part."""
        with self._lock:
            if self._last is None or self._last[0] is not seen:
                self._last = seen, self._made(seen)
            return self._last[1]

    def _made(self, seen: Overview) -> dict[str, Any]:
        lights = read_lights(seen)
        level, sentence = headline(lights)
        shown = {
            "overview": seen,
            "lights": lights,
            "level": level,
            "sentence": sentence,
            "revisions": {panel.name: series_revision(panel) for panel in seen.models},
            "shapes": {view.name: feature_shapes(view, seen.models) for view in seen.views},
            "parts": PARTS,
        }
        texts = {part: self._renderer.inside(part, **shown, **_ANYBODY) for part in PARTS}
        return {**shown, "marks": {part: sha256(text.encode()).hexdigest()[:12] for part, text in texts.items()}}
