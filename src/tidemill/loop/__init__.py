"""The loop: may a retrain start (guard), does its model serve (gate), and what leaves the house (outbox, alerts)."""

from tidemill.loop.alerts import Delivery, deliver
from tidemill.loop.gate import Comparison, GateSettings, Verdict, compare, judge
from tidemill.loop.guard import Admitted, GuardFacts, GuardPolicy, Refused, admit, read_facts
from tidemill.loop.outbox import Relayed, relay

__all__ = [
    "Admitted",
    "Comparison",
    "Delivery",
    "GateSettings",
    "GuardFacts",
    "GuardPolicy",
    "Refused",
    "Relayed",
    "Verdict",
    "admit",
    "compare",
    "deliver",
    "judge",
    "read_facts",
    "relay",
]
