"""The tables of the database `loop`: decisions and their outbox, freezes, alerts, reactions, publications, the states of the monitors,
API keys, and what operators did.

They live in one database because a monitor's state, the alerts it raises and the decisions it asks for must commit together.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    ColumnElement,
    Engine,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    UniqueConstraint,
    and_,
    literal_column,
)

from tidemill.stores.column_types import Word, Words
from tidemill.stores.databases import Databases

LOOP_TABLES = MetaData()


def _only(rows: ColumnElement[bool]) -> dict[str, Any]:
    """The part of a table that an index is of."""
    return {"sqlite_where": rows, "postgresql_where": rows}


DECISIONS = Table(
    "decisions",
    LOOP_TABLES,
    Column("id", Word, primary_key=True),
    Column("model", Word, nullable=False),
    Column("trigger", Word, nullable=False),
    Column("alarm_key", Word, nullable=False),
    Column("reason", Words, nullable=False),
    Column("evidence", JSON, nullable=False),
    Column("state", Word, nullable=False),
    Column("outcome", Word),
    Column("outcome_reason", Words, nullable=False),
    Column("from_version", Word),
    Column("to_version", Word),
    Column("metric_name", Word),
    Column("metric_champion", Float),
    Column("metric_challenger", Float),
    Column("requested_at_ms", BigInteger, nullable=False),
    Column("requested_wall_ms", BigInteger, nullable=False),
    Column("claimed_wall_ms", BigInteger),
    Column("finished_at_ms", BigInteger),
    Column("finished_wall_ms", BigInteger),
    Column("flow_run_id", Word),
    Column("fits", Integer, nullable=False),
    Column("act", Word, nullable=False),
    Column("decided_by", Word, nullable=False),
    Column("findings", JSON, nullable=False),
    Column("stages", JSON, nullable=False),
    # The rest is not part of a `Decision`. `claim_order` says who of two running retrains came first, `alive_wall_ms` when its
    # run last gave a sign of life, `releases` how often a dead run's claim was taken back, `put_backs` how often a run gave its own
    # back because a server was away.
    Column("claim_order", Integer),
    Column("alive_wall_ms", BigInteger),
    Column("releases", Integer, nullable=False, default=0),
    Column("put_backs", Integer, nullable=False, default=0),
    UniqueConstraint("model", "alarm_key"),
    Index("decisions_by_state", "model", "state"),
)

OUTBOX = Table(
    "outbox",
    LOOP_TABLES,
    Column("decision_id", Word, ForeignKey("decisions.id"), primary_key=True),
    Column("emitted_wall_ms", BigInteger),
    Column("emits", Integer, nullable=False, default=0),
)

FREEZES = Table(
    "freezes",
    LOOP_TABLES,
    Column("number", Integer, primary_key=True),
    Column("model", Word, nullable=False),
    Column("by", Word, nullable=False),
    Column("reason", Words, nullable=False),
    Column("wall_ms", BigInteger, nullable=False),
    Column("ended_by", Word),
    Column("ended_wall_ms", BigInteger),
)
# At most one freeze of a model stands; the ended ones stay for the audit.
Index("one_standing_freeze", FREEZES.c.model, unique=True, **_only(FREEZES.c.ended_wall_ms.is_(None)))

ALERT_MESSAGES = Table(
    "alert_messages",
    LOOP_TABLES,
    Column("number", Integer, primary_key=True),
    Column("model", Word, nullable=False),
    Column("kind", Word, nullable=False),
    Column("severity", Word, nullable=False),
    Column("about", Word, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("wall_ms", BigInteger, nullable=False),
    Column("awaits_end", Integer, nullable=False),  # 1 until the end of all its alerts is told
    Column("ends", Integer, ForeignKey("alert_messages.number"), unique=True),
    Column("attempts", Integer, nullable=False, default=0),
    Column("next_attempt_wall_ms", BigInteger, nullable=False, default=0),
    Column("delivered_wall_ms", BigInteger),
    Column("last_error", Words, nullable=False, default=""),
    Index("messages_by_kind", "model", "kind", "number"),
)
Index("messages_due", ALERT_MESSAGES.c.next_attempt_wall_ms, **_only(ALERT_MESSAGES.c.delivered_wall_ms.is_(None)))
Index("messages_to_end", ALERT_MESSAGES.c.number, **_only(ALERT_MESSAGES.c.awaits_end == literal_column("1")))

ALERTS = Table(
    "alerts",
    LOOP_TABLES,
    Column("key", Word, primary_key=True),
    Column("model", Word, nullable=False),
    Column("kind", Word, nullable=False),
    Column("severity", Word, nullable=False),
    Column("title", Words, nullable=False),
    Column("body", Words, nullable=False),
    Column("link", Words, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("explain", Word, nullable=False, default=""),
    Column("explaining_wall_ms", BigInteger),
    Column("since_ms", BigInteger),
    Column("harm", Words, nullable=False, default=""),
    Column("condition", Word, nullable=False, default=""),
    Column("ended_at_ms", BigInteger),
    Column("ended_why", Words, nullable=False, default=""),
    Column("acked_by", Word, nullable=False, default=""),
    Column("acked_wall_ms", BigInteger),
    Column("noticed_at_ms", BigInteger),
    Column("noticed_wall_ms", BigInteger),
    Column("held_until_ms", BigInteger),
    Column("silence", Integer, ForeignKey("alert_silences.number")),
    Column("covered_by", Word),
    Column("message", Integer, ForeignKey("alert_messages.number")),
    Index("alerts_by_time", "at_ms"),
    Index("alerts_of_message", "message"),
)
Index("alerts_waiting", ALERTS.c.at_ms, **_only(ALERTS.c.message.is_(None)))
Index("alerts_open", ALERTS.c.condition, **_only(ALERTS.c.ended_at_ms.is_(None)))
# What the relay asks at every step; a literal, as a database takes a partial index only for a condition that it can read.
WANTS_CHECK = and_(ALERTS.c.explain != literal_column("''"), ALERTS.c.explaining_wall_ms.is_(None))
Index("alerts_to_check", ALERTS.c.at_ms, **_only(WANTS_CHECK))

ALERT_CHANNELS = Table(
    "alert_channels",
    LOOP_TABLES,
    Column("message", Integer, ForeignKey("alert_messages.number"), primary_key=True),
    Column("channel", Word, primary_key=True),
    Column("wall_ms", BigInteger, nullable=False),
)

ALERT_SILENCES = Table(
    "alert_silences",
    LOOP_TABLES,
    Column("number", Integer, primary_key=True),
    Column("model", Word, nullable=False),
    Column("kind", Word, nullable=False),
    Column("by", Word, nullable=False),
    Column("reason", Words, nullable=False),
    Column("from_wall_ms", BigInteger, nullable=False),
    Column("until_wall_ms", BigInteger, nullable=False),
    Column("ended_by", Word),
    Column("ended_wall_ms", BigInteger),
)

MONITOR_STATES = Table(
    "monitor_states",
    LOOP_TABLES,
    Column("name", Word, primary_key=True),
    Column("cursor", BigInteger, nullable=False),
    Column("state", JSON, nullable=False),
)

REACTIONS = Table(
    "reactions",
    LOOP_TABLES,
    Column("name", Word, primary_key=True),
    Column("since", Words, nullable=False),  # the position after which it looks at events
    Column("matches", Integer, nullable=False, default=0),
    Column("sent", Integer, nullable=False, default=0),
    Column("given_up", Integer, nullable=False, default=0),
    Column("failures", Integer, nullable=False, default=0),  # in a row, of the receiver
    Column("next_attempt_wall_ms", BigInteger, nullable=False, default=0),
    Column("last_error", Words, nullable=False, default=""),
)

REACTION_CURSOR = Table(  # at most one row: how far all reactions have looked
    "reaction_cursor",
    LOOP_TABLES,
    Column("id", Integer, primary_key=True),
    Column("token", Words, nullable=False),
)

REACTION_OUTBOX = Table(
    "reaction_outbox",
    LOOP_TABLES,
    Column("id", Word, primary_key=True),
    Column("reaction", Word, nullable=False),
    Column("event_id", Word, nullable=False),
    Column("once_key", Words, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("until_ms", BigInteger, nullable=False),  # up to when it is the only one of its key
    Column("body", Words, nullable=False),
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
    **_only(REACTION_OUTBOX.c.ended_wall_ms.is_(None)),
)

PUBLICATIONS = Table(
    "publications",
    LOOP_TABLES,
    Column("kind", Word, primary_key=True),
    Column("cursor", BigInteger, nullable=False),  # of predictions: the id up to which all are published
    Column("sent", BigInteger, nullable=False, default=0),
    Column("refused", BigInteger, nullable=False, default=0),
    Column("last_error", Words, nullable=False, default=""),
    Column("last_sent_wall_ms", BigInteger),
    Column("holder", Word, nullable=False, default=""),  # the process that publishes it, and until when it alone does
    Column("held_until_wall_ms", BigInteger, nullable=False, default=0),
)

PUBLICATION_OUTBOX = Table(  # alerts and changes of decisions, each as it was then, until it is published
    "publication_outbox",
    LOOP_TABLES,
    Column("number", Integer, primary_key=True),
    Column("kind", Word, nullable=False),
    Column("id", Word, nullable=False),
    Column("model", Word, nullable=False),
    Column("body", Words, nullable=False),
    Index("publications_due", "kind", "number"),
    sqlite_autoincrement=True,
)

API_KEYS = Table(
    "api_keys",
    LOOP_TABLES,
    Column("prefix", Word, primary_key=True),
    Column("name", Word, nullable=False),
    Column("hash", Words, nullable=False),  # argon2, of the whole key
    Column("scopes", Word, nullable=False),  # sorted, with commas between
    Column("project", Word, nullable=False),
    Column("made_by", Word, nullable=False),
    Column("made_wall_ms", BigInteger, nullable=False),
    Column("until_wall_ms", BigInteger),
    Column("revoked_by", Word, nullable=False),
    Column("revoked_wall_ms", BigInteger),
)
# Of the keys that stand a name has one; the revoked ones stay for the audit.
Index("one_standing_key", API_KEYS.c.project, API_KEYS.c.name, unique=True, **_only(API_KEYS.c.revoked_wall_ms.is_(None)))

SESSIONS = Table(  # browsers that have shown a key
    "sessions",
    LOOP_TABLES,
    Column("digest", Word, primary_key=True),  # SHA-256 of the token in their cookie
    Column("prefix", Word, ForeignKey("api_keys.prefix"), nullable=False),
    Column("until_wall_ms", BigInteger, nullable=False),
)

OPERATOR_ACTS = Table(
    "operator_acts",
    LOOP_TABLES,
    Column("number", Integer, primary_key=True),
    Column("by", Word, nullable=False),
    Column("via", Word, nullable=False),
    Column("act", Word, nullable=False),
    Column("about", Words, nullable=False),
    Column("detail", Words, nullable=False),
    Column("wall_ms", BigInteger, nullable=False),
    Column("status", Integer, nullable=False),
)


def open_loop(databases: Databases) -> Engine:
    """The engine that all stores of the loop are built on.

    On a server it is durable: a flow run that carries out a decision outlives the database's end.
    """
    return databases.open("loop", LOOP_TABLES, durable=databases.url is not None)
