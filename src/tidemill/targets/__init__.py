"""Targets: where what tidemill comes to is published for other programs."""

from tidemill.targets.kafka_topic import KafkaTopic
from tidemill.targets.target import KINDS, Kind, Message, Sender, Target

__all__ = ["KINDS", "KafkaTopic", "Kind", "Message", "Sender", "Target"]
