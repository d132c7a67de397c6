"""deployments/compose.yaml says what compose and our settings understand, opens nothing beyond loopback, and holds no secret."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import pytest
import yaml
from typer.testing import CliRunner

from tests.services import program
from tests.unit.deployments.composed import Composed, Service, filled, variables
from tidemill.cli.main import app
from tidemill.project import project_root
from tidemill.settings import read_settings

FOLDER = project_root() / "deployments"
TEXT = (FOLDER / "compose.yaml").read_text(encoding="utf-8")
READ = yaml.safe_load(TEXT)
COMPOSED = Composed.model_validate({name: part for name, part in READ.items() if not name.startswith("x-")})
GIVEN = {"POSTGRES_PASSWORD": "s3cret", "PROJECT_FOLDER": "/home/ann/shop", "PROJECT_FILE": "shop.py"}
OURS = {name: service for name, service in COMPOSED.services.items() if service.build is not None}


def environ(service: Service) -> dict[str, str]:
    """What a service is given, filled in."""
    return {name: filled(str(value), GIVEN) for name, value in service.environment.items()}


def test_it_holds_what_the_server_profile_needs() -> None:
    assert COMPOSED.services.keys() == {"kafka", "postgres", "mlflow", "prefect", "serve", "work", "flows"}
    assert OURS.keys() == {"mlflow", "prefect", "serve", "work", "flows"}
    assert {service.image.rpartition(":")[2] for service in COMPOSED.services.values()}.isdisjoint({"latest", ""})


@pytest.mark.parametrize(("name", "service"), COMPOSED.services.items(), ids=COMPOSED.services)
def test_what_a_service_names_is_there(name: str, service: Service) -> None:
    assert service.networks == list(COMPOSED.networks)
    for other, needed in service.depends_on.items():
        assert needed.condition == "service_healthy"
        assert COMPOSED.services[other].healthcheck is not None
    for config in service.configs:
        assert config.source in COMPOSED.configs
    assert service.healthcheck is not None or name in {"work", "flows"}, "nothing asks these two"


def test_every_volume_is_used_and_every_folder_that_is_kept_lies_in_one() -> None:
    mounted = [filled(one, GIVEN).split(":") for service in COMPOSED.services.values() for one in service.volumes]
    named = {source for source, *_ in mounted if not source.startswith("/")}
    assert named == COMPOSED.volumes.keys()
    assert [rest for source, *rest in mounted if source.startswith("/")] == [["/project", "ro"]] * 3
    folders = {target for source, target, *_ in mounted if source in named}
    assert folders == {"/var/lib/kafka/data", "/var/lib/postgresql/data", "/var/lib/artifacts", "/var/lib/tidemill"}
    assert COMPOSED.services["kafka"].environment["KAFKA_LOG_DIRS"] in folders


def test_ports_are_published_on_loopback_alone_and_none_twice() -> None:
    ports = [port for service in COMPOSED.services.values() for port in service.ports]
    assert all(re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port) for port in ports)
    assert sorted(port.split(":")[1] for port in ports) == ["8000", "9094"], "MLflow and Prefect ask nobody for a key"


def test_no_secret_stands_in_it() -> None:
    must = {name for name, default in variables(TEXT).items() if default is None}
    assert must == {"POSTGRES_PASSWORD", "PROJECT_FOLDER"}
    for service in COMPOSED.services.values():
        for name, value in service.environment.items():
            if "PASSWORD" in name:
                assert variables(str(value)).keys() == {name}
            password = urlsplit(filled(str(value), {**GIVEN, "POSTGRES_PASSWORD": ""})).password
            assert not password, name
    assert ".env" in (project_root() / ".gitignore").read_text(encoding="utf-8")


@pytest.mark.parametrize(("name", "service"), OURS.items(), ids=OURS)
def test_our_settings_are_settings_and_lead_to_services(name: str, service: Service) -> None:
    given = environ(service)
    settings = read_settings({variable: value for variable, value in given.items() if variable.startswith("TIDEMILL_")})
    urls = [value for value in given.values() if "://" in value]
    for url in urls:
        host, port = urlsplit(url).hostname, urlsplit(url).port
        if host != "127.0.0.1":
            assert host in service.depends_on
            heard = {"kafka": 9092, "postgres": 5432, "mlflow": 5000, "prefect": 4200}
            assert port == heard[str(host)]
    if name in {"serve", "work", "flows"}:
        assert (str(settings.home), str(settings.project)) == ("/var/lib/tidemill", "/project/shop.py")
        assert (settings.profile, settings.log.kind, settings.log.kafka.brokers) == ("server", "kafka", ["kafka:9092"])
        assert settings.database_url == "postgresql://tidemill:s3cret@postgres:5432/tidemill"
        assert (settings.mlflow_uri, settings.prefect_api_url) == ("http://mlflow:5000", "http://prefect:4200/api")
        assert settings.alerts.urls == ()


def test_what_runs_is_there() -> None:
    commands = [one.command for one in OURS.values()]
    for what, *arguments in commands:
        assert program(what)
        if what == "tidemill":
            assert CliRunner().invoke(app, [*arguments, "--help"]).exit_code == 0
        if what == "python":
            assert (project_root() / arguments[0]).is_file()
    assert "mlflow:5000" in next(one for one in COMPOSED.services["mlflow"].command if one.startswith("--allowed-hosts="))


def test_the_databases_that_urls_name_are_made() -> None:
    made = set(re.findall(r"create database (\w+);", COMPOSED.configs["databases"].content))
    made.add(str(COMPOSED.services["postgres"].environment["POSTGRES_DB"]))
    urls = [urlsplit(value) for service in OURS.values() for value in environ(service).values() if value.startswith("postgresql")]
    assert {url.path.strip("/") for url in urls} <= made
    assert {url.username for url in urls} == {COMPOSED.services["postgres"].environment["POSTGRES_USER"]}
    assert {url.password for url in urls} == {GIVEN["POSTGRES_PASSWORD"]}


def test_the_page_names_every_variable_and_service() -> None:
    page = (project_root() / "docs" / "server.md").read_text(encoding="utf-8")
    for name in [*variables(TEXT), *COMPOSED.services, *COMPOSED.volumes]:
        assert f"`{name}`" in page, name
