"""The tables of `loop.db`: decisions and their outbox, freezes, alerts and who got them, reactions, publications, states of the monitors.

They live in one database because a monitor's state, the alerts it raises and the decisions it asks for must commit together.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Engine,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    and_,
    literal_column,
)

from tidemill.stores.sqlite import open_sqlite

LOOP_TABLES = MetaData()

DECISIONS = Table(
    "decisions",
    LOOP_TABLES,
    Column("id", String, primary_key=True),
    Column("model", String, nullable=False),
    Column("trigger", String, nullable=False),
    Column("alarm_key", String, nullable=False),
    Column("reason", Text, nullable=False),
    Column("evidence", JSON, nullable=False),
    Column("state", String, nullable=False),
    Column("outcome", String),
    Column("outcome_reason", Text, nullable=False),
    Column("from_version", String),
    Column("to_version", String),
    Column("metric_name", String),
    Column("metric_champion", Float),
    Column("metric_challenger", Float),
    Column("requested_at_ms", BigInteger, nullable=False),
    Column("requested_wall_ms", BigInteger, nullable=False),
    Column("claimed_wall_ms", BigInteger),
    Column("finished_at_ms", BigInteger),
    Column("finished_wall_ms", BigInteger),
    Column("flow_run_id", String),
    Column("fits", Integer, nullable=False),
    # The rest is not part of a `Decision`. `claim_order` says who of two running retrains came first, `alive_wall_ms` when its
    # run last gave a sign of life, `releases` how often a dead run's claim was taken back.
    Column("claim_order", Integer),
    Column("alive_wall_ms", BigInteger),
    Column("releases", Integer, nullable=False, default=0),
    UniqueConstraint("model", "alarm_key"),
    Index("decisions_by_state", "model", "state"),
)

OUTBOX = Table(
    "outbox",
    LOOP_TABLES,
    Column("decision_id", String, ForeignKey("decisions.id"), primary_key=True),
    Column("emitted_wall_ms", BigInteger),
    Column("emits", Integer, nullable=False, default=0),
)

FREEZES = Table(
    "freezes",
    LOOP_TABLES,
    Column("number", Integer, primary_key=True),
    Column("model", String, nullable=False),
    Column("by", String, nullable=False),
    Column("reason", Text, nullable=False),
    Column("wall_ms", BigInteger, nullable=False),
    Column("ended_by", String),
    Column("ended_wall_ms", BigInteger),
)
# At most one freeze of a model stands; the ended ones stay for the audit.
Index("one_standing_freeze", FREEZES.c.model, unique=True, sqlite_where=FREEZES.c.ended_wall_ms.is_(None))

ALERTS = Table(
    "alerts",
    LOOP_TABLES,
    Column("key", String, primary_key=True),
    Column("model", String, nullable=False),
    Column("severity", String, nullable=False),
    Column("title", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("link", Text, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("explain", String, nullable=False, default=""),
    Column("explaining_wall_ms", BigInteger),
    Column("attempts", Integer, nullable=False, default=0),
    Column("next_attempt_wall_ms", BigInteger, nullable=False, default=0),
    Column("delivered_wall_ms", BigInteger),
    Column("last_error", Text, nullable=False, default=""),
    Index("alerts_due", "delivered_wall_ms", "next_attempt_wall_ms"),
)
# What the relay asks at every step; a literal, as SQLite takes a partial index only for a condition that it can read.
WANTS_CHECK = and_(ALERTS.c.explain != literal_column("''"), ALERTS.c.explaining_wall_ms.is_(None))
Index("alerts_to_check", ALERTS.c.at_ms, sqlite_where=WANTS_CHECK)

ALERT_CHANNELS = Table(
    "alert_channels",
    LOOP_TABLES,
    Column("key", String, ForeignKey("alerts.key"), primary_key=True),
    Column("channel", String, primary_key=True),
    Column("wall_ms", BigInteger, nullable=False),
)

MONITOR_STATES = Table(
    "monitor_states",
    LOOP_TABLES,
    Column("name", String, primary_key=True),
    Column("cursor", BigInteger, nullable=False),
    Column("state", JSON, nullable=False),
)

REACTIONS = Table(
    "reactions",
    LOOP_TABLES,
    Column("name", String, primary_key=True),
    Column("since", Text, nullable=False),  # the position after which it looks at events
    Column("matches", Integer, nullable=False, default=0),
    Column("sent", Integer, nullable=False, default=0),
    Column("given_up", Integer, nullable=False, default=0),
    Column("failures", Integer, nullable=False, default=0),  # in a row, of the receiver
    Column("next_attempt_wall_ms", BigInteger, nullable=False, default=0),
    Column("last_error", Text, nullable=False, default=""),
)

REACTION_CURSOR = Table(  # at most one row: how far all reactions have looked
    "reaction_cursor",
    LOOP_TABLES,
    Column("id", Integer, primary_key=True),
    Column("token", Text, nullable=False),
)

REACTION_OUTBOX = Table(
    "reaction_outbox",
    LOOP_TABLES,
    Column("id", String, primary_key=True),
    Column("reaction", String, nullable=False),
    Column("event_id", String, nullable=False),
    Column("once_key", Text, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("until_ms", BigInteger, nullable=False),  # up to when it is the only one of its key
    Column("body", Text, nullable=False),
    Column("attempts", Integer, nullable=False, default=0),
    Column("next_attempt_wall_ms", BigInteger, nullable=False, default=0),
    Column("ended_wall_ms", BigInteger),  # sent or given up
    UniqueConstraint("reaction", "event_id", "at_ms"),
    Index("reaction_by_key", "reaction", "once_key", "until_ms"),
)
Index(
    "reactions_due",
    REACTION_OUTBOX.c.reaction,
    REACTION_OUTBOX.c.next_attempt_wall_ms,
    sqlite_where=REACTION_OUTBOX.c.ended_wall_ms.is_(None),
)

PUBLICATIONS = Table(
    "publications",
    LOOP_TABLES,
    Column("kind", String, primary_key=True),
    Column("cursor", BigInteger, nullable=False),  # of predictions: the id up to which all are published
    Column("sent", BigInteger, nullable=False, default=0),
    Column("refused", BigInteger, nullable=False, default=0),
    Column("last_error", Text, nullable=False, default=""),
    Column("last_sent_wall_ms", BigInteger),
    Column("holder", String, nullable=False, default=""),  # the process that publishes it, and until when it alone does
    Column("held_until_wall_ms", BigInteger, nullable=False, default=0),
)

PUBLICATION_OUTBOX = Table(  # alerts and changes of decisions, each as it was then, until it is published
    "publication_outbox",
    LOOP_TABLES,
    Column("number", Integer, primary_key=True),
    Column("kind", String, nullable=False),
    Column("id", String, nullable=False),
    Column("model", String, nullable=False),
    Column("body", Text, nullable=False),
    Index("publications_due", "kind", "number"),
    sqlite_autoincrement=True,
)


def open_loop(home: Path) -> Engine:
    """The engine of `loop.db` under `home`; all stores of the loop are built on it."""
    return open_sqlite(home / "loop.db", LOOP_TABLES)
