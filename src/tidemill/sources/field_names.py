"""The names that the columns of a file have as fields: the same for `tidemill init`, which makes a schema of them, and for what comes."""

from __future__ import annotations

import keyword
import re
import unicodedata
from collections.abc import Collection, Sequence

from pydantic import BaseModel


def field_names(headers: Sequence[str], known: Collection[str] = ()) -> list[str]:
    """Names for the fields of a schema, of the columns of a file: letters, digits and single underscores, none twice.

    An accent is left out; a letter of another script becomes its number.

    Args:
        headers: of the columns.
        known: fields that there are, in whatever letters: a header that is one of them stays as it is.

    >>> field_names(["Order ID", "amount (EUR)", "class", "2nd", "Größe", "цена", "amount_eur"])
    ['order_id', 'amount_eur', 'class_', 'n2nd', 'grosse', 'u446u435u43du430', 'amount_eur_2']
    >>> field_names(["orderId", "Amount (EUR)"], {"orderId", "amount_eur"})
    ['orderId', 'amount_eur']
    """
    names: list[str] = []
    for header in headers:
        name = _name(header, known)
        times = sum(re.fullmatch(rf"{name}(_\d+)?", other) is not None for other in names)
        names.append(f"{name}_{times + 1}" if name in names else name)
    return names


def shared_fields(headers: Sequence[str], known: Collection[str] = ()) -> dict[str, list[str]]:
    """The fields that several columns would be, of which all but one would be lost, each with their headers.

    >>> shared_fields(["Amount (EUR)", "at", "amount_eur"])
    {'amount_eur': ['Amount (EUR)', 'amount_eur']}
    """
    by_name: dict[str, list[str]] = {}
    for header in headers:
        by_name.setdefault(_name(header, known), []).append(header)
    return {name: several for name, several in by_name.items() if len(several) > 1}


def _name(header: str, known: Collection[str]) -> str:
    if header in known:
        return header
    letters = "".join(map(_plain, unicodedata.normalize("NFKD", header.casefold())))
    name = re.sub(r"[^0-9a-z]+", "_", letters).strip("_") or "column"
    name = f"n{name}" if name[0].isdigit() else name
    return f"{name}_" if keyword.iskeyword(name) or hasattr(BaseModel, name) else name


def _plain(letter: str) -> str:
    if unicodedata.combining(letter):
        return ""
    return letter if letter.isascii() or not letter.isalnum() else f"u{ord(letter):x}"
