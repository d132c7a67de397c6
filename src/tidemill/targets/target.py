"""What a target is: something that takes messages in order, and answers once it has them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, get_args

Kind = Literal["alerts", "decisions", "predictions"]
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True, slots=True)
class Message:
    """One thing that is published.

    Args:
        id: the same each time it is sent; no other message of its kind and project has it.
        kind: what it tells of: `alert`, `decision` or `prediction`.
        project: whose.
        key: messages of one kind and key are received in the order in which they came to be.
        value: a JSON object.
    """

    id: str
    kind: str
    project: str
    key: str
    value: bytes


class Sender(Protocol):
    """A target that is open."""

    def send(self, messages: Sequence[Message]) -> None:
        """Send messages, in order; on return the target has all of them, durably.

        Raises:
            RefusedError: the target will never take one of them; which one is only known when it was sent alone.
            Exception: some may have arrived, and others not. Open the target anew and send all again, best one by one: a client may
                fail in other ways over one among many that is refused.
        """

    def close(self) -> None:
        """Let go of it."""


class Target(Protocol):
    """A declaration of where to."""

    @property
    def description(self) -> str:
        """What and where, for a person; no secrets."""

    def open(self) -> Sender:
        """Connect.

        Raises:
            NotReadyError: nobody lets us in, or it is not there.
            SettingsError: the environment lacks a secret.
        """
