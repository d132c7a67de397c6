"""Whether what a definition names is in its stream and of the right kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tidemill.errors import ProjectError
from tidemill.events import FieldKind, Stream
from tidemill.features.nodes import Node
from tidemill.features.operators import Role


@dataclass(frozen=True)
class Readable:
    """What an expression may read besides the bare fields of a stream: `name` is the stream's, the rest as in `Stream`."""

    name: str
    kinds: Mapping[str, FieldKind]
    python_types: Mapping[str, type]


_Fits = Callable[[Stream | Readable, str], bool]


def _is_number(stream: Stream | Readable, name: str) -> bool:
    return stream.kinds[name] != "text"


def _is_text(stream: Stream | Readable, name: str) -> bool:
    return stream.kinds[name] == "text"


def _is_truth(stream: Stream | Readable, name: str) -> bool:
    return stream.python_types[name] is bool


def _is_there(_stream: Stream | Readable, _name: str) -> bool:
    return True


_FITS: dict[Role, tuple[_Fits, str]] = {
    "number": (_is_number, "a number"),
    "raw": (_is_number, "a number"),
    "flag": (_is_truth, "true or false (a bool)"),
    "text": (_is_text, "a text field"),
    "any": (_is_there, "a field"),
}


def check_fields(expression: Node, stream: Stream | Readable, where: str, role: Role = "number") -> None:
    """Refuse fields that an expression cannot read.

    Args:
        expression: what is defined.
        stream: whose events it reads, or their fields with what is read beside them.
        where: what the error is about.
        role: how the expression itself is read.

    Raises:
        ProjectError: a field is not in the stream, or is of another kind; names those that would do.
    """
    for name, read_as in sorted(expression.reads(role)):
        fits, kind = _FITS[read_as]
        if name not in stream.kinds or not fits(stream, name):
            choices = ", ".join(field for field in stream.kinds if fits(stream, field))
            fix = f"choose of {choices}" if choices else "there is none; compare a field, e.g. col('x') > 0"
            raise ProjectError(f"{name!r} is not {kind} of stream {stream.name!r}", where=where, fix=fix)


def check_key(word: str, names: Sequence[str], stream: Stream, where: str) -> None:
    """Refuse what no key can be made of.

    Args:
        word: what the definition calls it.
        names: the fields that make up the key.
        stream: whose fields they are.
        where: what the error is about.

    Raises:
        ProjectError: there are none, or one is not a text field of the stream; names those that are.
    """
    texts = f"choose of {', '.join(name for name, kind in stream.kinds.items() if kind == 'text')}"
    if not names:
        raise ProjectError(f"no {word}", where=where, fix=texts)
    for name in names:
        if stream.kinds.get(name) != "text":
            raise ProjectError(f"{word} {name!r} is not a text field of stream {stream.name!r}", where=where, fix=texts)


def check_version(version: object, where: str) -> None:
    """Refuse a version that is no whole number from 1 on.

    Raises:
        ProjectError: it is not; says what to write.
    """
    if type(version) is not int or version < 1:
        raise ProjectError(f"version={version!r} is no version", where=where, fix="write a whole number from 1 on, e.g. version=2")
