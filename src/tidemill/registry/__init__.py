"""The registry: MLflow's versions, aliases and reports, and how a training becomes one."""

from tidemill.registry.auditing import audit_parity
from tidemill.registry.deciding import Judgement, end, finish, gate, guard, request_by_hand
from tidemill.registry.deploying import deploy, roll_back
from tidemill.registry.registry import CHALLENGER, CHAMPION, FROZEN, KEPT_REPORTS, PREVIOUS, DatasetRef, Registry, Release, Version
from tidemill.registry.training import IMPORTANT, Challenger, code_version, register, snapshot, train

__all__ = [
    "CHALLENGER",
    "CHAMPION",
    "FROZEN",
    "IMPORTANT",
    "KEPT_REPORTS",
    "PREVIOUS",
    "Challenger",
    "DatasetRef",
    "Judgement",
    "Registry",
    "Release",
    "Version",
    "audit_parity",
    "code_version",
    "deploy",
    "end",
    "finish",
    "gate",
    "guard",
    "register",
    "request_by_hand",
    "roll_back",
    "snapshot",
    "train",
]
