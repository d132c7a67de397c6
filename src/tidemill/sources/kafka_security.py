"""How to reach a guarded Kafka cluster; what is secret comes from the environment, when the source is opened."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from typing import Literal

from tidemill.errors import SettingsError

# at DEBUG these would log the configuration, or the bytes of a login, with the password
_TALKATIVE = ("kafka.admin.client", "kafka.net.connection", "kafka.protocol.parser")


@dataclass(frozen=True)
class KafkaSecurity:
    """TLS, a login, or both. It holds the names of environment variables, never what they say.

    Args:
        protocol: `SSL` for TLS alone, `SASL_SSL` for a login through TLS, `SASL_PLAINTEXT` for one without.
        mechanism: of the login.
        username_env: the variable with the user's name.
        password_env: the variable with the password.
        ca_file: who may have signed the brokers' certificates, a PEM file; those the system trusts when left out.
        cert_file: our own certificate, where brokers ask for one, a PEM file.
        key_file: its key, a PEM file.
        key_password_env: the variable with the key's password, if it has one.

    >>> KafkaSecurity(mechanism="PLAIN").config({"KAFKA_USERNAME": "ada"})
    Traceback (most recent call last):
    tidemill.errors.SettingsError: the environment has no KAFKA_PASSWORD; set it, or name another in KafkaSecurity(password_env=...)
    """

    protocol: Literal["SSL", "SASL_SSL", "SASL_PLAINTEXT"] = "SASL_SSL"
    mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    username_env: str = "KAFKA_USERNAME"
    password_env: str = "KAFKA_PASSWORD"
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    key_password_env: str | None = None

    def config(self, environ: dict[str, str] | None = None) -> dict[str, object]:
        """The settings of a client, secrets included: not to be logged.

        Args:
            environ: by default this process's.

        Raises:
            SettingsError: a variable is missing.
        """
        variables = os.environ if environ is None else environ

        def secret(parameter: str) -> str:
            name = getattr(self, parameter)
            if not variables.get(name):
                raise SettingsError(f"the environment has no {name}; set it, or name another in KafkaSecurity({parameter}=...)")
            return str(variables[name])

        config: dict[str, object] = {"security_protocol": self.protocol}
        if self.protocol.startswith("SASL"):
            config |= {"sasl_mechanism": self.mechanism}
            config |= {"sasl_plain_username": secret("username_env"), "sasl_plain_password": secret("password_env")}
        if self.protocol.endswith("SSL"):
            config |= {"ssl_cafile": self.ca_file, "ssl_certfile": self.cert_file, "ssl_keyfile": self.key_file}
            config |= {"ssl_password": secret("key_password_env")} if self.key_password_env else {}
        return config


def keep_secrets_out_of_logs() -> None:
    """Let the client log nothing below INFO where that would hold a password."""
    for name in _TALKATIVE:
        logging.getLogger(name).addFilter(_from_info_on)  # a level of its own would let INFO through where only warnings are shown


def _from_info_on(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.INFO
