"""A compose file as a model: the part of the compose specification that ours uses, where an unknown or misspelt key is an error."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

_VARIABLE = re.compile(r"\$\{(?P<name>\w+)(?::(?P<how>[-?])(?P<rest>[^}]*))?\}")
Duration = Field(pattern=r"^\d+(ms|s|m)$")


class Part(BaseModel):
    """Refuses what it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Build(Part):
    """How an image is made."""

    context: str
    dockerfile: str


class Needed(Part):
    """What another service must have come to."""

    condition: Literal["service_started", "service_healthy", "service_completed_successfully"]


class Healthcheck(Part):
    """How a service is known to be well."""

    test: list[str]
    interval: str = Duration
    timeout: str = Duration
    retries: int
    start_period: str = Duration


class MountedConfig(Part):
    """A text that a service finds as a file."""

    source: str
    target: str


class Service(Part):
    """One container."""

    image: str = Field(pattern=r"^[a-z0-9./-]+:[\w.-]+$")
    pull_policy: Literal["build"] | None = None
    build: Build | None = None
    restart: Literal["unless-stopped"]
    networks: list[str]
    command: list[str] = []
    environment: dict[str, str | int] = {}
    configs: list[MountedConfig] = []
    volumes: list[str] = []
    ports: list[str] = []
    shm_size: str | None = None
    stop_grace_period: str | None = None
    depends_on: dict[str, Needed] = {}
    healthcheck: Healthcheck | None = None


class Text(Part):
    """What a config says."""

    content: str


class Composed(Part):
    """The whole file, without the `x-` parts that anchors stand in."""

    name: str
    services: dict[str, Service]
    configs: dict[str, Text]
    networks: dict[str, None]
    volumes: dict[str, None]


def variables(text: str) -> dict[str, str | None]:
    """By name, the variables that a text takes from outside, with what each is when it is not set; None where it must be."""
    return {one["name"]: one["rest"] if one["how"] == "-" else None for one in _VARIABLE.finditer(text)}


def filled(text: str, given: Mapping[str, str]) -> str:
    """A text as compose makes it of these variables."""
    return _VARIABLE.sub(lambda one: given.get(one["name"]) or (one["rest"] if one["how"] == "-" else given[one["name"]]), text)
