"""Stores: the SQL log, the engine's state with its tiles, the lake, predictions, and what the loop keeps."""

from tidemill.stores.alerts import Alert, AlertRecord, AlertStore
from tidemill.stores.backfill import backfill_view
from tidemill.stores.decision_records import Decision
from tidemill.stores.decisions import DecisionStore
from tidemill.stores.lake import EVENT_ID, EVENT_TIME, KNOWN_AT, OFFSET, Lake, LakeWriter, lake_schema, wait_for_lake
from tidemill.stores.loop_tables import open_loop
from tidemill.stores.monitor_state import MonitorStateStore
from tidemill.stores.predictions import Answered, PredictionStore, Role, Score, Served
from tidemill.stores.quality import Judged, QualityReader
from tidemill.stores.sources import copy_file
from tidemill.stores.sql_log import SqlLog
from tidemill.stores.sqlite import open_sqlite
from tidemill.stores.state import Applied, Outcome, SqlState
from tidemill.stores.tile_store import Lookup, Reading, TileStore

__all__ = [
    "EVENT_ID",
    "EVENT_TIME",
    "KNOWN_AT",
    "OFFSET",
    "Alert",
    "AlertRecord",
    "AlertStore",
    "Answered",
    "Applied",
    "Decision",
    "DecisionStore",
    "Judged",
    "Lake",
    "LakeWriter",
    "Lookup",
    "MonitorStateStore",
    "Outcome",
    "PredictionStore",
    "QualityReader",
    "Reading",
    "Role",
    "Score",
    "Served",
    "SqlLog",
    "SqlState",
    "TileStore",
    "backfill_view",
    "copy_file",
    "lake_schema",
    "open_loop",
    "open_sqlite",
    "wait_for_lake",
]
