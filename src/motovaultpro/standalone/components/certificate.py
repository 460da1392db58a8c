"""A certificate of our own for this machine, which browsers ask about once."""

import ipaddress
import socket
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

# Apple's systems refuse leaf certificates that live longer than this.
_LIFETIME = timedelta(days=825)
_RENEW_BEFORE = timedelta(days=30)


def ensure_certificate(directory: Path, hosts: tuple[str, ...], now: datetime) -> tuple[Path, Path]:
    """The paths of certificate and key for localhost, this machine's name and `hosts`; made anew where
    absent, close to its end, or lacking a name."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    certificate, key = directory / "certificate.pem", directory / "key.pem"
    names = _names(("localhost", "127.0.0.1", "::1", socket.gethostname(), *hosts))
    if not (key.exists() and certificate.exists() and _serves(certificate, names, now)):
        _create(certificate, key, names, now)
    return certificate, key


def _names(hosts: tuple[str, ...]) -> list[x509.GeneralName]:
    names: list[x509.GeneralName] = []
    for host in dict.fromkeys(hosts):
        try:
            names.append(x509.IPAddress(ipaddress.ip_address(host)))
        except ValueError:
            names.append(x509.DNSName(host))
    return names


def _serves(certificate: Path, names: list[x509.GeneralName], now: datetime) -> bool:
    try:
        found = x509.load_pem_x509_certificate(certificate.read_bytes())
    except ValueError:
        return False
    covered = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return found.not_valid_after_utc - _RENEW_BEFORE > now and set(names) <= set(covered)


def _create(certificate: Path, key: Path, names: list[x509.GeneralName], now: datetime) -> None:
    private = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "MotoVaultPro on this machine")])
    built = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + _LIFETIME)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(private, hashes.SHA256())
    )
    key.touch(mode=0o600)
    key.write_bytes(
        private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    certificate.write_bytes(built.public_bytes(serialization.Encoding.PEM))
