import hashlib
import ssl
import stat
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from ucam.storage import tls


def test_made_once_and_then_kept(tmp_path: Path) -> None:
    cert, key = tls.ensure_certificate(tmp_path, "studio.loc")
    before = cert.read_bytes(), key.read_bytes()
    assert tls.ensure_certificate(tmp_path, "studio.loc") == (cert, key)
    assert (cert.read_bytes(), key.read_bytes()) == before
    assert stat.S_IMODE(key.stat().st_mode) == 0o600


def test_a_certificate_without_its_key_is_made_anew(tmp_path: Path) -> None:
    cert, key = tls.ensure_certificate(tmp_path, "studio.loc")
    before = cert.read_bytes()
    key.unlink()
    tls.ensure_certificate(tmp_path, "studio.loc")
    assert cert.read_bytes() != before
    tls.server_context(cert, key)


def test_the_fingerprint_is_of_what_a_client_sees(tmp_path: Path) -> None:
    cert, key = tls.ensure_certificate(tmp_path, "studio.loc")
    der = ssl.PEM_cert_to_DER_cert(cert.read_text())
    assert tls.fingerprint(cert) == f"sha256:{hashlib.sha256(der).hexdigest()}"
    context = tls.server_context(cert, key)
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2


def test_a_key_of_another_certificate_is_refused(tmp_path: Path) -> None:
    cert, _ = tls.ensure_certificate(tmp_path / "a", "a.loc")
    _, key = tls.ensure_certificate(tmp_path / "b", "b.loc")
    with pytest.raises(ssl.SSLError):
        tls.server_context(cert, key)


def test_the_name_that_browsers_may_believe(tmp_path: Path) -> None:
    def named(*names: x509.GeneralName) -> Path:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([])
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(datetime(2026, 1, 1, tzinfo=UTC))
            .not_valid_after(datetime(2027, 1, 1, tzinfo=UTC))
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.pem"
        path.write_bytes(builder.sign(key, SHA256()).public_bytes(Encoding.PEM))
        return path

    dns, ip = x509.DNSName, x509.IPAddress
    wild, local = dns("*.shop.test"), ip(ip_address("127.0.0.1"))
    assert tls.served_name(named(wild, dns("localhost"), dns("nvr.shop.test"))) == "nvr.shop.test"
    assert tls.served_name(named(local, ip(ip_address("192.168.1.7")))) == "192.168.1.7"
    assert tls.served_name(named(ip(ip_address("fd00::7")))) == "[fd00::7]"
    assert tls.served_name(named(wild, local, dns("localhost"))) is None
    assert tls.served_name(named()) is None


def test_a_renewed_certificate_is_read_and_half_of_one_is_not(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cert, key = tls.ensure_certificate(tmp_path, "studio.loc")
    certificate = tls.Certificate(cert, key)
    first, context, now = certificate.fingerprint, certificate.context, datetime.now(UTC)
    cert_pem, key_pem = tls.make_certificate("studio.loc", now)
    cert.write_bytes(cert_pem)
    certificate.reload(now)
    assert "the certificate in force stays" in caplog.text
    assert certificate.fingerprint == first
    key.write_bytes(key_pem)
    certificate.reload(now)
    assert certificate.fingerprint == tls.fingerprint(cert) != first
    assert certificate.context is context


def test_the_end_of_a_certificate_is_told_two_weeks_before(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    certificate = tls.Certificate(*tls.ensure_certificate(tmp_path, "studio.loc"))
    ends = datetime.now(UTC) + timedelta(days=3650)
    assert certificate.trouble(ends - timedelta(days=15)) is None
    assert f"ends on {ends:%Y-%m-%d}" in (certificate.trouble(ends - timedelta(days=13)) or "")
    assert "ended on" in (certificate.trouble(ends + timedelta(days=1)) or "")
    certificate.warn(ends)
    assert "renew it" in caplog.text
