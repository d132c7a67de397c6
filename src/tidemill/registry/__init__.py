"""The registry: MLflow's versions, aliases and reports, and how a training becomes one."""

from tidemill.registry.registry import CHALLENGER, CHAMPION, FROZEN, KEPT_REPORTS, PREVIOUS, DatasetRef, Registry, Release, Version
from tidemill.registry.training import Challenger, code_version, register, snapshot, train

__all__ = [
    "CHALLENGER",
    "CHAMPION",
    "FROZEN",
    "KEPT_REPORTS",
    "PREVIOUS",
    "Challenger",
    "DatasetRef",
    "Registry",
    "Release",
    "Version",
    "code_version",
    "register",
    "snapshot",
    "train",
]
