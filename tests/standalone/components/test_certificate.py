from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509

from motovaultpro.standalone.components.certificate import ensure_certificate

NOW = datetime(2026, 11, 21, tzinfo=UTC)


def test_keeps_a_certificate_that_still_serves(tmp_path: Path) -> None:
    certificate, key = ensure_certificate(tmp_path, (), NOW)
    before = certificate.read_bytes()
    assert ensure_certificate(tmp_path, (), NOW + timedelta(days=700)) == (certificate, key)
    assert certificate.read_bytes() == before


def test_renews_a_month_before_the_end(tmp_path: Path) -> None:
    certificate, _ = ensure_certificate(tmp_path, (), NOW)
    before = certificate.read_bytes()
    ensure_certificate(tmp_path, (), NOW + timedelta(days=800))
    assert certificate.read_bytes() != before


def test_makes_a_new_one_for_a_new_address(tmp_path: Path) -> None:
    certificate, _ = ensure_certificate(tmp_path, (), NOW)
    ensure_certificate(tmp_path, ("192.168.1.20", "garage.lan"), NOW)
    names = x509.load_pem_x509_certificate(certificate.read_bytes()).extensions
    covered = names.get_extension_for_class(x509.SubjectAlternativeName).value
    assert "192.168.1.20" in [str(ip) for ip in covered.get_values_for_type(x509.IPAddress)]
    assert "garage.lan" in covered.get_values_for_type(x509.DNSName)


def test_replaces_a_damaged_one(tmp_path: Path) -> None:
    certificate, _ = ensure_certificate(tmp_path, (), NOW)
    certificate.write_text("damaged")
    ensure_certificate(tmp_path, (), NOW)
    x509.load_pem_x509_certificate(certificate.read_bytes())


def test_only_we_can_read_the_key(tmp_path: Path) -> None:
    _, key = ensure_certificate(tmp_path, (), NOW)
    assert key.stat().st_mode & 0o777 == 0o600
