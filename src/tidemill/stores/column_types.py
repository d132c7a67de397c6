"""Column types that mean the same in SQLite and PostgreSQL."""

from __future__ import annotations

from sqlalchemy import BigInteger, Integer, LargeBinary, String, Text

# SQLite's integers have 64 bits under the one name that also makes a key count up by itself.
Whole = BigInteger().with_variant(Integer(), "sqlite")
# Compared byte by byte, as SQLite does and as the kernels and DuckDB do; PostgreSQL would take the order of its language.
Word = String().with_variant(String(collation="C"), "postgresql")
Words = Text().with_variant(Text(collation="C"), "postgresql")
# What somebody sent, as it was: PostgreSQL's text cannot hold the letter of number 0, so there it is the bytes of UTF-8.
AsSent = Text().with_variant(LargeBinary(), "postgresql")
