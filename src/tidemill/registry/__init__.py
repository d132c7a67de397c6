"""The registry: MLflow's versions, aliases and reports, and how a training becomes one."""

from tidemill.registry.auditing import audit_parity
from tidemill.registry.challenging import Challenger, Plan, Serving, Tried, challenge, measure_latency, train, try_unseen
from tidemill.registry.deciding import (
    Ask,
    Asker,
    Learnt,
    end,
    finish,
    guard,
    keep_learnt,
    make_decision,
    mark,
    put_back,
    request,
    request_retrain,
    resume,
)
from tidemill.registry.deploying import carry_out, deploy, deploy_learnt, request_promotion, request_rollback
from tidemill.registry.follow_ups import asked_since, due_follow_up, fits_left, numbers_left, plan_of, repeated, since_of, windows_of
from tidemill.registry.judging import Judged, Judgement, gate
from tidemill.registry.lease import holding
from tidemill.registry.named import CANARY, CHALLENGER, CHAMPION, FROZEN, PREVIOUS, SHADOW, Named
from tidemill.registry.probation import Probation, examine, judge_probation
from tidemill.registry.registry import KEPT_REPORTS, REPORT, Registry
from tidemill.registry.release import DatasetRef, Release
from tidemill.registry.releasing import Attempt, Beside, act_at_once, compare_trials, end_trials, name_trials, try_version
from tidemill.registry.training import FITS, IMPORTANT, Ready, code_version, make_ready, register, snapshot
from tidemill.registry.updating import due_update, learn_more, request_update
from tidemill.registry.version import Version

__all__ = [
    "CANARY",
    "CHALLENGER",
    "CHAMPION",
    "FITS",
    "FROZEN",
    "IMPORTANT",
    "KEPT_REPORTS",
    "PREVIOUS",
    "REPORT",
    "SHADOW",
    "Ask",
    "Asker",
    "Attempt",
    "Beside",
    "Challenger",
    "DatasetRef",
    "Judged",
    "Judgement",
    "Learnt",
    "Named",
    "Plan",
    "Probation",
    "Ready",
    "Registry",
    "Release",
    "Serving",
    "Tried",
    "Version",
    "act_at_once",
    "asked_since",
    "audit_parity",
    "carry_out",
    "challenge",
    "code_version",
    "compare_trials",
    "deploy",
    "deploy_learnt",
    "due_follow_up",
    "due_update",
    "end",
    "end_trials",
    "examine",
    "finish",
    "fits_left",
    "gate",
    "guard",
    "holding",
    "judge_probation",
    "keep_learnt",
    "learn_more",
    "make_decision",
    "make_ready",
    "mark",
    "measure_latency",
    "name_trials",
    "numbers_left",
    "plan_of",
    "put_back",
    "register",
    "repeated",
    "request",
    "request_promotion",
    "request_retrain",
    "request_rollback",
    "request_update",
    "resume",
    "since_of",
    "snapshot",
    "train",
    "try_unseen",
    "try_version",
    "windows_of",
]
