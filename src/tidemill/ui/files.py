"""The files of the page: few, two megabytes, so they are read once and served from memory; nothing else can be asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path

_MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".LICENSE": "text/plain; charset=utf-8",
}


@dataclass(frozen=True)
class File:
    """One file; `version` is a digest of its body."""

    body: bytes
    media_type: str
    version: str


Files = Mapping[str, File]


@cache
def read_files() -> Files:
    """Every file under `static/`, by its path from there.

    >>> read_files()["app.css"].media_type
    'text/css; charset=utf-8'
    """
    folder = Path(__file__).parent / "static"
    return {path.relative_to(folder).as_posix(): _read(path) for path in sorted(folder.rglob("*")) if path.suffix in _MEDIA_TYPES}


def _read(path: Path) -> File:
    body = path.read_bytes()
    return File(body, _MEDIA_TYPES[path.suffix], sha256(body).hexdigest()[:12])
