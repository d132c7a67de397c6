"""Two servers of one home, with keys and TLS, as they are run: a key opens both, and once revoked neither, within seconds."""

from __future__ import annotations

import ipaddress
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest.mock import patch

import pytest
import urllib3
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from typer.testing import CliRunner

from tests import tiny
from tests.services import child_environ, free_port, log_tail
from tidemill.cli.main import app
from tidemill.errors import DeniedError
from tidemill.project import project_root

PATIENCE_S = 300.0


def write_certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that signs itself, and its key."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number()).not_valid_before(now - timedelta(days=1))
    builder = builder.not_valid_after(now + timedelta(days=1))
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
    made = builder.sign(key, hashes.SHA256())
    cert_file, key_file = folder / "cert.pem", folder / "key.pem"
    cert_file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    key_file.write_bytes(key.private_bytes(*form))
    return cert_file, key_file


@pytest.fixture
def servers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[list[str], Callable[[str, str], int]]]:
    """The addresses of two, and how one is asked with a key; the environment is theirs."""
    cert_file, key_file = write_certificate(tmp_path)
    ours = {
        "TIDEMILL_HOME": str(tmp_path / "home"),
        "TIDEMILL_PROJECT": str(tiny.FILE),
        "TIDEMILL_MLFLOW__URI": "http://127.0.0.1:9",
        "TIDEMILL_SERVER__TLS_CERT_FILE": str(cert_file),
        "TIDEMILL_SERVER__TLS_KEY_FILE": str(key_file),
        "TIDEMILL_CLIENT__CA_FILE": str(cert_file),
        "PYTHONPATH": os.pathsep.join([str(project_root()), os.environ.get("PYTHONPATH", "")]),
    }
    pool, urls, log = urllib3.PoolManager(ca_certs=str(cert_file), retries=False, timeout=60), [], tmp_path / "serve.log"

    def ask(url: str, key: str) -> int:
        return pool.request("GET", url, headers={"authorization": f"Bearer {key}"}).status

    with ExitStack() as ending, log.open("ab") as output:
        for _ in range(2):
            port = free_port()
            environ = child_environ() | ours | {"TIDEMILL_SERVER__PORT": str(port)}
            command = [sys.executable, "-m", "tidemill.cli.main", "serve"]
            process = subprocess.Popen(command, cwd=project_root(), env=environ, stdout=output, stderr=output)
            ending.callback(process.wait)
            ending.callback(process.kill)
            urls.append(f"https://127.0.0.1:{port}")
        for url in urls:
            wait_for(lambda url=url: is_up(pool, url), lambda: log_tail(log))  # type: ignore[misc]  # mypy cannot tell a default's type
        for name, value in ours.items():
            monkeypatch.setenv(name, value)
        yield urls, ask
    said = log.read_text()
    assert "tm_" not in said.replace("tm_...", ""), "no key is ever logged"


def is_up(pool: urllib3.PoolManager, url: str) -> bool:
    try:
        return pool.request("GET", f"{url}/healthz").status == 200
    except urllib3.exceptions.HTTPError:
        return False


def wait_for(condition: Callable[[], bool], why: Callable[[], str]) -> None:
    until_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < until_s, why()
        time.sleep(0.1)


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, [*arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout.strip()


def test_a_key_opens_every_server_until_it_is_revoked(servers: tuple[list[str], Callable[[str, str], int]]) -> None:
    urls, ask = servers
    key = run("keys", "create", "reader", "--scope", "read")
    assert [ask(f"{url}/v1/views", key) for url in urls] == [200, 200]
    assert [ask(f"{url}/v1/views", "tm_" + "a" * 10 + "_" + "A" * 43) for url in urls] == [401, 401]
    with (
        patch.dict(os.environ, {"TIDEMILL_CLIENT__KEY": key, "TIDEMILL_CLIENT__URL": urls[0]}),
        pytest.raises(DeniedError, match="predict"),
    ):
        run("predict", "late_order", json.dumps({"order_id": "o", "shop": "a"}))
    run("keys", "revoke", "reader")
    for url in urls:
        wait_for(lambda url=url: ask(f"{url}/v1/views", key) == 401, lambda url=url: f"{url} still takes it")  # type: ignore[misc]  # as above
