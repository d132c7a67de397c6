"""One `Settings`, built once at a process's edge from `TIDEMILL_*` variables; functions take a section or plain values.

`TIDEMILL_SERVER__PORT=8001` sets `settings.server.port`. A secret may lie in a file: `TIDEMILL_DATABASE__URL_FILE=/run/secrets/url`.
Unknown names are refused, so that a typing error is not silently a default.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsConfigDict
from pydantic_settings.exceptions import SettingsError as SourceError

from tidemill.clock import duration_ms
from tidemill.errors import SettingsError

_PREFIX = "TIDEMILL_"
_NONE = "0s"
_DATABASE_URL = f"{_PREFIX}DATABASE__URL"
_SECRETS = (_DATABASE_URL, f"{_PREFIX}ALERTS__URLS", f"{_PREFIX}CLIENT__KEY")  # each may be the name of a file instead: ..._FILE


def _web_address(url: str) -> str:
    if url and not url.startswith(("http://", "https://")):
        raise ValueError(f"{url!r} is no web address; write http://... or https://...")
    return url


WebAddress = Annotated[str, AfterValidator(_web_address)]  # or empty


class Section(BaseModel):
    """A frozen group of settings."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class ServerSettings(Section):
    """The API server."""

    host: str = Field("127.0.0.1", description="address to bind")
    open: bool = Field(False, description="answer everybody on this machine without a key; on loopback only")
    hosts: tuple[str, ...] = Field((), description='names it is called by beside loopback ones, e.g. ["api.example.com"]')
    url: WebAddress = Field(
        "", description="what people call it by, for links in messages, e.g. https://api.example.com; empty means its address"
    )
    tls_cert_file: str | None = Field(None, description="its certificate and those above it, a PEM file; with a key file, https only")
    tls_key_file: str | None = Field(None, description="the certificate's key, a PEM file")
    rate_per_key: float | None = Field(None, gt=0, description="requests a second of one key, in each process; null for no limit")
    port: int = Field(8000, ge=1, le=65535, description="port of the API and the page")
    workers: int = Field(1, ge=1, le=64, description="processes that share the port, about one a core; one answers on one core")
    max_body_bytes: int = Field(4_000_000, ge=1_000, description="largest request body, bytes")
    max_events: int = Field(10_000, ge=1, description="most events in one request")
    max_rows: int = Field(10_000, ge=1, description="most rows in one batch prediction")
    max_explained: int = Field(200, ge=1, description="most rows in one batch that is to be explained; a row costs two vectors a column")
    max_waiting_rows: int = Field(
        50_000, ge=1, description="most answers that may wait to be logged before a request is told to come again"
    )
    poll_champion_s: float = Field(1.0, gt=0, description="how often a server asks the registry for a new champion, seconds")
    end_s: int = Field(20, ge=0, description="how long a server that is told to end waits for requests under way, whole seconds")
    replay: bool = Field(False, description="set by a replay alone: requests may say `at`, and the clock is stream time")

    @field_validator("host")
    @classmethod
    def _known(cls, host: str) -> str:
        if host != "localhost" and not _is_address(host):
            raise ValueError(f"{host!r} is not an address to bind; write 127.0.0.1, ::1, or 0.0.0.0 for every one of this machine")
        return host

    @model_validator(mode="after")
    def _safe(self) -> ServerSettings:
        if self.open and self.host != "localhost" and not ip_address(self.host).is_loopback:
            raise ValueError(f"a server without keys may bind loopback only, not {self.host}; leave OPEN away and make keys")
        if (self.tls_cert_file is None) != (self.tls_key_file is None):
            raise ValueError("TLS needs both, TLS_CERT_FILE and TLS_KEY_FILE")
        return self


class ClientSettings(Section):
    """How commands of this machine reach the API server."""

    url: str = Field("", description="where it is; empty means the server of these settings")
    key: SecretStr = Field(SecretStr(""), description="the API key they show")
    ca_file: str | None = Field(None, description="who may have signed its certificate, a PEM file; else whom the system trusts")


class KafkaLogSettings(Section):
    """The cluster whose topics are the log. A login is named by the variables that hold it, as in the project file."""

    bootstrap: str = Field("127.0.0.1:9092", description="brokers to begin with, HOST:PORT, several with commas between")
    partitions: int = Field(3, ge=1, description="partitions of a topic that is made")
    replication: int = Field(1, ge=1, description="copies of each partition of a topic that is made; 3 where there are three brokers")
    group: str | None = Field("tidemill", description="group of the engines that share the log; its offsets follow; null for none")
    session_s: float = Field(10.0, gt=0, description="when others take a silent engine's partitions, seconds; 6 or more")
    on_gap: Literal["fail", "earliest"] = Field("fail", description="what to do where Kafka no longer holds what comes next")
    connect_s: float = Field(5.0, gt=0, description="how long to try to connect, seconds")
    protocol: Literal["PLAINTEXT", "SSL", "SASL_SSL", "SASL_PLAINTEXT"] = Field("PLAINTEXT", description="TLS, a login, or both")
    mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field("SCRAM-SHA-512", description="of the login")
    username_env: str = Field("KAFKA_USERNAME", description="the variable with the user's name")
    password_env: str = Field("KAFKA_PASSWORD", description="the variable with the password")
    ca_file: str | None = Field(None, description="who may have signed the brokers' certificates, a PEM file; else whom the system trusts")

    @property
    def brokers(self) -> list[str]:
        """Those to begin with."""
        return [broker.strip() for broker in self.bootstrap.split(",") if broker.strip()]


class LogSettings(Section):
    """Where events wait in order."""

    kind: Literal["sql", "kafka"] = Field("sql", description="`sql` for the database of the home, `kafka` for topics of a cluster")
    kafka: KafkaLogSettings = KafkaLogSettings()


class EngineSettings(Section):
    """The engine that applies events."""

    batch_events: int = Field(20_000, ge=1, description="most events in one transaction")
    max_behind: int = Field(500_000, ge=1, description="events that may wait for the engine before sources pause and HTTP answers 429")
    poll_ms: int = Field(5, ge=1, description="pause between looks at an empty log, milliseconds")
    lake_every_s: float = Field(5.0, gt=0, description="longest time between appends to the lake, seconds")
    lake_every_events: int = Field(50_000, ge=1, description="most events between appends to the lake")


class LearningSettings(Section):
    """Training sets."""

    memory_mb: int = Field(800, ge=100, description="what DuckDB holds before it spills, MB; half as much again is held beside")
    threads: int = Field(2, ge=1, description="threads that build a training set")


class LoopSettings(Section):
    """The runs that carry decisions out."""

    lease_s: float = Field(180.0, gt=0, description="a run that holds a decision and is silent so long is taken for dead, seconds")


class PyfuncSettings(Section):
    """Models with code of their own, MLflow's `python_function`: each runs in a process of its own."""

    enabled: bool = Field(False, description="import and serve them: their code runs on this machine")
    environment: str = Field("", description="the interpreter of an environment that holds all they need; empty makes one for each")
    python: str = Field("", description="the interpreter such environments are made with; empty finds one of the model's version")
    folder: str = Field("", description="where environments and working copies lie, open to that user; empty for the home")
    user: str = Field("nobody", description="who they run as where the server is root, else they run as its user: a name or a number")
    network: bool = Field(False, description="leave them the machine's network; without it they reach nothing, not even this server")
    memory_mb: int = Field(8_000, ge=500, description="most address space of one, MB; libraries reserve far more than they use")
    cpu_s: int | None = Field(None, ge=1, description="seconds of computing after which one is ended and started again; null for no bound")
    threads: int = Field(1, ge=1, description="threads of numeric libraries in one")
    start_s: float = Field(120.0, gt=0, description="how long one may take to load its model, seconds")
    answer_s: float = Field(5.0, gt=0, description="how long one may take for an answer before it is killed, seconds")


class MlflowSettings(Section):
    """The MLflow server."""

    port: int = Field(5000, ge=1, le=65535, description="port of the MLflow server that `up` starts")
    uri: str = Field("", description="tracking and registry URI; empty means the server that `up` starts")
    page: WebAddress = Field(
        "", description="where people see it if it has a login of its own; empty means behind the API server's, at /mlflow/"
    )


class PrefectSettings(Section):
    """The Prefect server."""

    port: int = Field(4200, ge=1, le=65535, description="port of the Prefect server that `up` starts")
    api_url: str = Field("", description="API URL; empty means the server that `up` starts")
    page: WebAddress = Field(
        "", description="where people see it if it has a login of its own; empty means behind the API server's, at /prefect/"
    )


class ChannelSettings(Section):
    """One place that alerts go to. A URL alone means this with the least severity."""

    url: SecretStr = Field(description="an apprise URL, e.g. slack://..., mailto://..., json://127.0.0.1:9000/; it may hold a password")
    severity: Literal["info", "warning", "critical"] = Field("info", description="nothing less grave goes there")

    @model_validator(mode="before")
    @classmethod
    def _of_url(cls, value: object) -> object:
        return {"url": value} if isinstance(value, str | SecretStr) else value


class AlertSettings(Section):
    """Where alerts go, and how often."""

    urls: tuple[ChannelSettings, ...] = Field(
        (), description='apprise URLs, or {"url": ..., "severity": "critical"} for the grave ones only'
    )
    cooldown: str = Field("6h", description="after a message, the time until the next of its model and kind, which sums up; 0s for none")
    gather: str = Field("10s", description="how long a first alert waits for others of its model and kind; 0s for not at all")

    @field_validator("cooldown", "gather")
    @classmethod
    def _is_duration(cls, text: str) -> str:
        if text != _NONE:
            duration_ms(text)
        return text

    @property
    def cooldown_ms(self) -> int:
        """The cooldown, in ms."""
        return 0 if self.cooldown == _NONE else duration_ms(self.cooldown)

    @property
    def gather_ms(self) -> int:
        """How long to gather, in ms."""
        return 0 if self.gather == _NONE else duration_ms(self.gather)


class TelemetrySettings(Section):
    """What tidemill tells of itself, beside `/metrics`."""

    traces: str = Field("", description="an OTLP URL that traces go to, e.g. http://127.0.0.1:4318/v1/traces; empty for none")
    sample: float = Field(0.01, ge=0, le=1, description="the share of traces that is sent")
    logs: Literal["text", "json"] = Field("text", description="how a log line is written: for a person, or one JSON object a line")


class DatabaseSettings(Section):
    """The PostgreSQL of the server profile."""

    url: SecretStr = Field(SecretStr(""), description="postgresql://user:password@host:5432/name, for log, state and decisions")

    @field_validator("url")
    @classmethod
    def _postgresql(cls, url: SecretStr) -> SecretStr:
        kind = url.get_secret_value().partition("://")[0]
        if kind not in ("", "postgresql", "postgresql+psycopg"):  # the rest may be a password, so it is not repeated
            raise ValueError("not the URL of a PostgreSQL; write postgresql://user:password@host:5432/name")
        return url


class Settings(BaseSettings):
    """Everything that can be set from outside.

    Raises:
        SettingsError: from `read_settings`, naming the variable and what it takes.
    """

    model_config = SettingsConfigDict(env_prefix=_PREFIX, env_nested_delimiter="__", frozen=True, extra="forbid", hide_input_in_errors=True)

    home: Path = Field(Path(".tidemill"), description="where all state lives")
    project: Path = Field(
        default_factory=lambda: _project_here(), description="the project file: `project.py` of this folder, else flights"
    )
    profile: Literal["embedded", "server"] = Field("embedded", description="log and stores in files of `home`, or in the database")
    server: ServerSettings = ServerSettings()
    client: ClientSettings = ClientSettings()
    log: LogSettings = LogSettings()
    engine: EngineSettings = EngineSettings()
    learning: LearningSettings = LearningSettings()
    loop: LoopSettings = LoopSettings()
    pyfunc: PyfuncSettings = PyfuncSettings()
    mlflow: MlflowSettings = MlflowSettings()
    prefect: PrefectSettings = PrefectSettings()
    alerts: AlertSettings = AlertSettings()
    database: DatabaseSettings = DatabaseSettings()
    telemetry: TelemetrySettings = TelemetrySettings()

    @model_validator(mode="after")
    def _has_a_database(self) -> Settings:
        if self.profile == "server" and not self.database.url.get_secret_value():
            raise ValueError(
                f"the server profile keeps its state in PostgreSQL; set {_DATABASE_URL} to postgresql://user:password@host/name"
            )
        return self

    @property
    def database_url(self) -> str | None:
        """Where the server profile keeps log, state, predictions and decisions; None where files hold them. It may hold a password."""
        return self.database.url.get_secret_value() if self.profile == "server" else None

    @property
    def mlflow_uri(self) -> str:
        """The registry's URI."""
        return self.mlflow.uri or f"http://127.0.0.1:{self.mlflow.port}"

    @property
    def prefect_api_url(self) -> str:
        """The orchestrator's API URL."""
        return self.prefect.api_url or f"http://127.0.0.1:{self.prefect.port}/api"

    @property
    def server_url(self) -> str:
        """The API server's URL."""
        bound = self.server.host
        host = "127.0.0.1" if bound == "0.0.0.0" else "[::1]" if bound in ("::", "::1") else bound  # where it is reached from here
        return f"http{'s' if self.server.tls_cert_file else ''}://{host}:{self.server.port}"

    @property
    def public_url(self) -> str:
        """What people call the API server by."""
        return self.server.url.rstrip("/") or self.server_url


def _project_here() -> Path:
    here = Path("project.py")  # as `tidemill init` makes it
    return here if here.is_file() else Path("examples/flights/project.py")


def read_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """The settings of this process, or those of `environ` alone.

    Raises:
        SettingsError: a variable has an unknown name or a value it cannot take.

    >>> read_settings({"TIDEMILL_SERVER__PORT": "8001"}).server_url
    'http://127.0.0.1:8001'
    """
    names = _with_secrets(os.environ if environ is None else environ)
    for name in names:
        if name.startswith(_PREFIX):
            _check_name(name)
    try:
        return _from(names)
    except ValidationError as error:
        first = error.errors()[0]
        if not first["loc"]:  # about several settings; the text names them
            raise SettingsError(first["msg"]) from error
        variable = _PREFIX + "__".join(str(part) for part in first["loc"]).upper()
        what = "is not a setting" if first["type"] == "extra_forbidden" else first["msg"]
        raise SettingsError(f"{variable}: {what}") from error
    except SourceError as error:  # text where JSON is read
        example = """TIDEMILL_ALERTS__URLS='["json://127.0.0.1:9000/"]'"""
        raise SettingsError(f"{error}; a list is written as JSON, e.g. {example}") from error


def _with_secrets(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables, with the contents of the files that hold secrets: what an orchestrator mounts is in no process's environment."""
    found = dict(environ)
    for name in _SECRETS:
        path = found.pop(f"{name}_FILE", None)
        if path is None:
            continue
        if name in found:
            raise SettingsError(f"{name} and {name}_FILE are both set; keep one")
        try:
            found[name] = Path(path).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"{name}_FILE: {path} cannot be read ({type(error).__name__})") from error
    return found


def _from(environ: Mapping[str, str]) -> Settings:
    source = EnvSettingsSource(Settings)
    source.env_vars = {name.lower(): value for name, value in environ.items()}
    return Settings(_env_prefix="=", **source())  # no variable's name begins with "=", so nothing else is read


def _check_name(name: str) -> None:
    top, *below = name.removeprefix(_PREFIX).lower().split("__")
    if top not in Settings.model_fields:
        choices = ", ".join(sorted(Settings.model_fields)).upper()
        raise SettingsError(f"{name} is not a setting; the names after {_PREFIX} are {choices}")
    if below and not isinstance(Settings.model_fields[top].default, Section):
        raise SettingsError(f"{name} is not a setting; {_PREFIX}{top.upper()} has no parts")


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
