"""The loop: may a retrain start (guard), does its model serve (gate), and what leaves the house (outbox, alerts, reactions)."""

from tidemill.loop.alert_texts import AlertText, several, text_of
from tidemill.loop.alerts import Delivery, deliver
from tidemill.loop.channels import open_channels
from tidemill.loop.gate import Comparison, GateSettings, Verdict, compare, judge
from tidemill.loop.guard import Admitted, GuardFacts, GuardPolicy, Refused, admit, read_facts, unless_unfit
from tidemill.loop.outbox import Relayed, relay
from tidemill.loop.reacting import CarriedOut, carry_out
from tidemill.loop.silencing import SilenceAsked, end_silence, silence
from tidemill.loop.trial import Slice, Trial, TrialSettings, compare_slices, judge_trial, miscalibration
from tidemill.loop.webhook import Webhook

__all__ = [
    "Admitted",
    "AlertText",
    "CarriedOut",
    "Comparison",
    "Delivery",
    "GateSettings",
    "GuardFacts",
    "GuardPolicy",
    "Refused",
    "Relayed",
    "SilenceAsked",
    "Slice",
    "Trial",
    "TrialSettings",
    "Verdict",
    "Webhook",
    "admit",
    "carry_out",
    "compare",
    "compare_slices",
    "deliver",
    "end_silence",
    "judge",
    "judge_trial",
    "miscalibration",
    "open_channels",
    "read_facts",
    "relay",
    "several",
    "silence",
    "text_of",
    "unless_unfit",
]
