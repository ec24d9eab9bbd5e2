"""A certificate authority of the tests' own, and what it signs."""

import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

PEM = serialization.Encoding.PEM


class Authority:
    """`cert` and `key`: of a server called `name`, signed by the authority whose certificate is
    `ca`.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self.ca, self.cert, self.key = (folder / f"{part}.pem" for part in ("ca", "cert", "key"))
        ca_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
        issuer = _named("ucam's tests")
        ca = (
            _certificate(issuer, issuer, ca_key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(ca_key, SHA256())
        )
        server = ExtendedKeyUsageOID.SERVER_AUTH
        cert = (
            _certificate(_named(name), issuer, key.public_key())
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
            .add_extension(x509.ExtendedKeyUsage([server]), critical=False)
            .sign(ca_key, SHA256())
        )
        self.ca.write_bytes(ca.public_bytes(PEM))
        self.cert.write_bytes(cert.public_bytes(PEM))
        self.key.write_bytes(
            key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        )

    def trusted_in(self, home: Path) -> dict[str, str]:
        """The environment of a browser that believes this authority."""
        database = home / ".pki" / "nssdb"
        database.mkdir(parents=True)
        certutil = ["certutil", "-d", f"sql:{database}"]
        subprocess.run([*certutil, "-N", "--empty-password"], check=True)
        subprocess.run([*certutil, "-A", "-n", "tests", "-t", "C,,", "-i", self.ca], check=True)
        return {"HOME": str(home)}


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _certificate(
    subject: x509.Name, issuer: x509.Name, public: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=30))
    )
