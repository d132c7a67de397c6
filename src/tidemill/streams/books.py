"""The books of a stream: where each received event went."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Books:
    """`received = applied + duplicate + late + rejected + pending`, at every moment.

    >>> Books(received=5, applied=3, duplicate=1, late=0, rejected=1, pending=0).balanced
    True
    """

    received: int
    applied: int
    duplicate: int
    late: int
    rejected: int
    pending: int

    @property
    def balanced(self) -> bool:
        """Whether each event is in exactly one place."""
        return self.received == self.applied + self.duplicate + self.late + self.rejected + self.pending
