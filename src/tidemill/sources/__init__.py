"""Sources: where the events of a stream come from, read by their own clients and copied into the log."""

from tidemill.sources.avro import Avro
from tidemill.sources.delta import Delta
from tidemill.sources.files import Files
from tidemill.sources.kafka import Kafka
from tidemill.sources.kafka_security import KafkaSecurity
from tidemill.sources.kinesis import Kinesis
from tidemill.sources.sql_outbox import SqlOutbox
from tidemill.sources.sql_table import SqlTable

__all__ = ["Avro", "Delta", "Files", "Kafka", "KafkaSecurity", "Kinesis", "SqlOutbox", "SqlTable"]
