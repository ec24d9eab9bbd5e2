import hashlib
import ssl
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

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
