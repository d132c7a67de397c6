"""The registry: MLflow's versions, aliases and reports, and how a training becomes one."""

from tidemill.registry.auditing import audit_parity
from tidemill.registry.deciding import Judgement, Learnt, end, finish, gate, guard, request_by_hand
from tidemill.registry.deploying import deploy, roll_back
from tidemill.registry.registry import CHALLENGER, CHAMPION, FROZEN, KEPT_REPORTS, PREVIOUS, DatasetRef, Registry, Release, Version
from tidemill.registry.training import (
    FITS,
    IMPORTANT,
    Challenger,
    Ready,
    code_version,
    compare_unseen,
    make_ready,
    register,
    snapshot,
    train,
)

__all__ = [
    "CHALLENGER",
    "CHAMPION",
    "FITS",
    "FROZEN",
    "IMPORTANT",
    "KEPT_REPORTS",
    "PREVIOUS",
    "Challenger",
    "DatasetRef",
    "Judgement",
    "Learnt",
    "Ready",
    "Registry",
    "Release",
    "Version",
    "audit_parity",
    "code_version",
    "compare_unseen",
    "deploy",
    "end",
    "finish",
    "gate",
    "guard",
    "make_ready",
    "register",
    "request_by_hand",
    "roll_back",
    "snapshot",
    "train",
]
