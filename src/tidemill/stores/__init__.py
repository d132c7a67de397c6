"""Stores: the SQL log, the engine's state with its tiles, the lake, predictions, and what the loop keeps."""

from tidemill.stores.acts import Act, ActStore
from tidemill.stores.alert_messages import AlertMessages
from tidemill.stores.alert_plans import Plan, Planned
from tidemill.stores.alert_records import Alert, AlertRecord, Conditions, Message, Moment, Silence
from tidemill.stores.alert_silences import AlertSilences
from tidemill.stores.alerts import AlertStore
from tidemill.stores.answer import Answer, AnswerKind, Class
from tidemill.stores.api_key import ANYONE, SCOPES, ApiKey, Caller, Scope
from tidemill.stores.applied import AppliedReader
from tidemill.stores.backfill import backfill_view, rebuild
from tidemill.stores.backup import back_up
from tidemill.stores.backup_manifest import Manifest, verify_backup
from tidemill.stores.copied_file import copy_file, lines_of
from tidemill.stores.databases import Databases
from tidemill.stores.decision_records import Decision
from tidemill.stores.decisions import DecisionStore
from tidemill.stores.forget_match import Entity
from tidemill.stores.key_store import KeyStore
from tidemill.stores.lake import EVENT_ID, EVENT_TIME, KNOWN_AT, OFFSET, Lake, lake_schema
from tidemill.stores.lake_writer import LakeWriter, wait_for_lake
from tidemill.stores.loop_tables import open_loop
from tidemill.stores.mapped_state import MappedState
from tidemill.stores.monitor_state import MonitorStateStore
from tidemill.stores.prediction_records import Answered, Asked, Role, Said, Score, Served
from tidemill.stores.predictions import PredictionStore
from tidemill.stores.publications import PublicationStanding, PublicationStore
from tidemill.stores.quality import Followed, Judged, QualityReader
from tidemill.stores.reactions import Match, ReactionStanding, ReactionStore
from tidemill.stores.restore import restore_home
from tidemill.stores.sizes import Size, total_text
from tidemill.stores.source_books import Standing
from tidemill.stores.sql_log import SqlLog
from tidemill.stores.sqlite import open_sqlite
from tidemill.stores.state import Outcome, SqlState
from tidemill.stores.state_opening import open_state
from tidemill.stores.tile_store import Lookup, Reading, TileStore

__all__ = [
    "ANYONE",
    "EVENT_ID",
    "EVENT_TIME",
    "KNOWN_AT",
    "OFFSET",
    "SCOPES",
    "Act",
    "ActStore",
    "Alert",
    "AlertMessages",
    "AlertRecord",
    "AlertSilences",
    "AlertStore",
    "Answer",
    "AnswerKind",
    "Answered",
    "ApiKey",
    "AppliedReader",
    "Asked",
    "Caller",
    "Class",
    "Conditions",
    "Databases",
    "Decision",
    "DecisionStore",
    "Entity",
    "Followed",
    "Judged",
    "KeyStore",
    "Lake",
    "LakeWriter",
    "Lookup",
    "Manifest",
    "MappedState",
    "Match",
    "Message",
    "Moment",
    "MonitorStateStore",
    "Outcome",
    "Plan",
    "Planned",
    "PredictionStore",
    "PublicationStanding",
    "PublicationStore",
    "QualityReader",
    "ReactionStanding",
    "ReactionStore",
    "Reading",
    "Role",
    "Said",
    "Scope",
    "Score",
    "Served",
    "Silence",
    "Size",
    "SqlLog",
    "SqlState",
    "Standing",
    "TileStore",
    "back_up",
    "backfill_view",
    "copy_file",
    "lake_schema",
    "lines_of",
    "open_loop",
    "open_sqlite",
    "open_state",
    "rebuild",
    "restore_home",
    "total_text",
    "verify_backup",
    "wait_for_lake",
]
