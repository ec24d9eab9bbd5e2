"""The server's certificate: the operator's, or one made at the first start and announced."""

import hashlib
import logging
import re
import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ucam.base.files import write_atomically

_log = logging.getLogger(__name__)
CERT_NAME = "rtsps-cert.pem"
KEY_NAME = "rtsps-key.pem"
HOST_NAME = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)*")
_LIFETIME = timedelta(days=3650)  # nobody renews it: cameras pin its fingerprint
WARNED_BEFORE = timedelta(days=14)


def make_certificate(name: str, now: datetime) -> tuple[bytes, bytes]:
    """A self-signed certificate for `name` and its key, both PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        # A Pi that has no time yet must not find the certificate "not yet valid".
        .not_valid_before(now - timedelta(days=365))
        .not_valid_after(now + _LIFETIME)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, SHA256())
    )
    return (
        certificate.public_bytes(serialization.Encoding.PEM),
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
    )


def ensure_certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """The paths of certificate and key in `folder`; made there when they are not."""
    cert, key = folder / CERT_NAME, folder / KEY_NAME
    if not (cert.exists() and key.exists()):
        cert_pem, key_pem = make_certificate(name, datetime.now(UTC))
        # The key first: a certificate alone is made again at the next start, with its key.
        cert.unlink(missing_ok=True)
        write_atomically(key, key_pem, mode=0o600)
        write_atomically(cert, cert_pem, mode=0o644)
    return cert, key


def fingerprint(cert: Path) -> str:
    """`sha256:HEX` of the first certificate in a PEM file; raises `ValueError`."""
    certificate = x509.load_pem_x509_certificates(cert.read_bytes())[0]
    return (
        "sha256:" + hashlib.sha256(certificate.public_bytes(serialization.Encoding.DER)).hexdigest()
    )


def served_name(cert: Path) -> str | None:
    """The host under which browsers may believe the first certificate in a PEM file: its first DNS
    name, else its first address; None when it names only wildcards or this very machine.

    Raises `ValueError`.
    """
    certificate = x509.load_pem_x509_certificates(cert.read_bytes())[0]
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return None
    for name in found.get_values_for_type(x509.DNSName):
        if HOST_NAME.fullmatch(name) and name != "localhost":
            return name
    for address in found.get_values_for_type(x509.IPAddress):
        if isinstance(address, IPv4Address | IPv6Address) and not address.is_loopback:
            return f"[{address}]" if address.version == 6 else str(address)
    return None


class Certificate:
    """What the server shows: one context for all its listeners, so that a renewed certificate is
    there for connections to come, and those that stand keep theirs.
    """

    def __init__(self, cert: Path, key: Path) -> None:
        """Raises `OSError`, `ValueError` or `ssl.SSLError` when the files are not usable."""
        self._cert, self._key = cert, key
        self.context = server_context(cert, key)
        self.fingerprint = fingerprint(cert)
        self.served_name = served_name(cert)
        self._expires = _expires(cert)

    def reload(self, now: datetime) -> None:
        """Read the files again. When they can't be used, the certificate in force stays."""
        try:
            new = Certificate(self._cert, self._key)  # half a pair must not get in
            self.context.load_cert_chain(self._cert, self._key)
        except (OSError, ValueError, ssl.SSLError) as error:
            _log.error("the certificate in force stays: %s", error)
            return
        if new.fingerprint != self.fingerprint:
            _log.info("another certificate is shown from now on: %s", new.fingerprint)
        self.fingerprint, self.served_name = new.fingerprint, new.served_name
        self._expires = new._expires
        self.warn(now)

    def warn(self, now: datetime) -> None:
        """Log what is wrong with it."""
        if trouble := self.trouble(now):
            _log.warning("%s", trouble)

    def trouble(self, now: datetime) -> str | None:
        """A sentence from two weeks before its end on."""
        if now + WARNED_BEFORE < self._expires:
            return None
        ends = "ended" if self._expires <= now else "ends"
        return (
            f"The certificate {self._cert} {ends} on {self._expires:%Y-%m-%d}: "
            "renew it, then reload the storage."
        )


def _expires(cert: Path) -> datetime:
    return x509.load_pem_x509_certificates(cert.read_bytes())[0].not_valid_after_utc


def server_context(cert: Path, key: Path) -> ssl.SSLContext:
    """TLS 1.2 or newer; raises `OSError` or `ssl.SSLError` when the files are not usable."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # Whoever connects knows best which cipher its processor is good at: all that are offered are
    # equally good otherwise.
    context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
    # Session tickets are written after the handshake; a camera never resumes one.
    context.num_tickets = 0
    context.load_cert_chain(cert, key)
    return context
