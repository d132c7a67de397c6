"""A webhook is called with TLS verified, follows nobody elsewhere, and tells its secrets to no log."""

from __future__ import annotations

import logging
from base64 import b64encode
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.receiver import Receiver, receiving
from tests.services import free_port
from tidemill.errors import NotReadyError, RefusedError
from tidemill.loop import Webhook

SECRET = "s3cr3t"


def self_signed() -> bytes:
    """A key, and a certificate for 127.0.0.1 that it vouches for itself."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now - timedelta(1), now + timedelta(1))
    here = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    certificate = builder.add_extension(here, critical=False).sign(key, hashes.SHA256())
    plain = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return key.private_bytes(*plain) + certificate.public_bytes(serialization.Encoding.PEM)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as one:
        yield one


def test_it_posts_the_json_as_it_is_with_the_key(receiver: Receiver) -> None:
    Webhook(f"{receiver.url}/hook?a=1").call('{"a":"ü"}', "k1")
    (one,) = receiver.received
    assert (one.path, one.body, one.key) == ("/hook?a=1", {"a": "ü"}, "k1")
    assert one.headers["content-type"] == "application/json"
    assert "authorization" not in one.headers


def test_the_url_comes_from_the_environment_and_its_password_becomes_a_header(receiver: Receiver) -> None:
    webhook = Webhook(variable="HOOK", environ={"HOOK": receiver.url.replace("//", f"//ana:{SECRET}%21@") + "/x"})
    webhook.call("{}", "k")
    assert receiver.received[0].path == "/x"
    assert receiver.received[0].headers["authorization"] == "Basic " + b64encode(f"ana:{SECRET}!".encode()).decode()


@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_an_answer_that_asks_to_come_again_is_not_refused(receiver: Receiver, status: int) -> None:
    receiver.status = status
    with pytest.raises(NotReadyError, match=f"^HTTP {status}$"):
        Webhook(receiver.url).call("{}", "k")


@pytest.mark.parametrize("status", [400, 401, 404, 410, 422])
def test_any_other_answer_is_a_refusal(receiver: Receiver, status: int) -> None:
    receiver.status = status
    with pytest.raises(RefusedError, match=f"^HTTP {status}$"):
        Webhook(receiver.url).call("{}", "k")


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed(receiver: Receiver, status: int) -> None:
    with receiving() as elsewhere:
        receiver.status, receiver.location = status, elsewhere.url
        with pytest.raises(RefusedError, match="redirects are not followed"):
            Webhook(receiver.url).call("{}", "k")
        assert elsewhere.received == []
    assert len(receiver.received) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "HOOK is not set"),
        (f"ana:{SECRET}@example.org", "HOOK holds no http or https URL"),
        (f"ftp://{SECRET}.example.org/", "HOOK holds no http or https URL"),
        (f"http://[{SECRET}/", "HOOK holds no http or https URL"),
        (f"https://:{SECRET}/", "HOOK holds no http or https URL"),
    ],
)
def test_what_is_no_url_is_told_without_it(text: str, message: str) -> None:
    with pytest.raises(NotReadyError) as caught:
        Webhook(variable="HOOK", environ={"HOOK": text}).call("{}", "k")
    assert str(caught.value) == message


def test_nobody_there_is_told_without_the_url(receiver: Receiver, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with pytest.raises(NotReadyError, match=r"^no answer: [A-Za-z]+$") as caught:
        Webhook(f"http://127.0.0.1:{free_port()}/{SECRET}").call("{}", "k")
    assert caught.value.__suppress_context__
    Webhook(f"{receiver.url}/{SECRET}").call("{}", "k")
    assert receiver.received[0].path == f"/{SECRET}"
    assert SECRET not in caplog.text


def test_a_certificate_that_nobody_vouches_for_is_not_believed(tmp_path: Path) -> None:
    file = tmp_path / "self.pem"
    file.write_bytes(self_signed())
    with receiving(certificate=file) as receiver:
        assert receiver.url.startswith("https:")
        with pytest.raises(NotReadyError, match=r"^no answer: SSLError$"):
            Webhook(receiver.url).call("{}", "k")
        assert receiver.received == []
