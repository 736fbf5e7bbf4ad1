"""How other machines reach this one: its address in the local network, and a certificate for it that is made here."""

import contextlib
import ipaddress
import os
import socket
import ssl
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from mien.errors import DataError, MienError
from mien.whole_file import whole_file

if TYPE_CHECKING:
    from cryptography.x509 import Certificate, GeneralName

CERTIFICATE_DAYS, RENEWED_DAYS = 397, 14
"""How long a certificate that is made here holds (browsers take none that hold longer); how long before its end it is made anew."""

ELSEWHERE = ("192.0.2.1", "10.255.255.255", "172.31.255.255", "192.168.255.255")
"""Addresses to ask the system the way to; nothing is sent there."""


def local_address() -> str:
    """The address by which the local network reaches this machine, "192.168.1.20". Raises `MienError` where there is no network."""
    for goal in ELSEWHERE:
        with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as way:
            way.connect((goal, 9))
            found = str(way.getsockname()[0])
            if not ipaddress.ip_address(found).is_loopback:
                return found
    raise MienError("this machine is in no network: join one, or give the address to listen on: --host ADDRESS")


def own_certificate(file: Path, names: Sequence[str]) -> Path:
    """A file with a key and a certificate for these names and addresses, signed by itself; the one that is there while it holds.

    Nobody but who runs the server can read it.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    now = datetime.now(UTC)
    with contextlib.suppress(OSError, ValueError, x509.ExtensionNotFound, DataError):
        kept = x509.load_pem_x509_certificate(file.read_bytes())
        if set(names) <= set(_names(kept)) and kept.not_valid_after_utc > now + timedelta(days=RENEWED_DAYS):
            return checked_certificate(file, None)
    key = ec.generate_private_key(ec.SECP256R1())
    who = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mien, on this machine alone")])
    made = (
        x509.CertificateBuilder()
        .subject_name(who)
        .issuer_name(who)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))  # a telephone's clock may be late
        .not_valid_after(now + timedelta(days=CERTIFICATE_DAYS))
        .add_extension(x509.SubjectAlternativeName([_named(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    with whole_file(file) as part, open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
        out.write(secret + made.public_bytes(serialization.Encoding.PEM))
    return file


def checked_certificate(file: Path, key: Path | None) -> Path:
    """The certificate's file. Raises `DataError` where it, or its key, cannot be used."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(file, key)
    except ssl.SSLError as error:
        raise DataError(f"{file}: wanted a certificate and its key, as PEM, but got: {error.reason or error}") from None
    except OSError as error:
        missing = [path for path in (file, key) if path is not None and not path.is_file()]
        raise DataError(f"{(missing or [file])[0]}: cannot be read: {error.strerror or error}") from None
    return file


def certificate_name(file: Path) -> str:
    """The first name that a certificate is for, other than one for all names of a domain; empty where it names none."""
    from cryptography import x509

    with contextlib.suppress(ValueError, x509.ExtensionNotFound):
        return next((name for name in _names(x509.load_pem_x509_certificate(file.read_bytes())) if "*" not in name), "")
    return ""


def _names(certificate: "Certificate") -> list[str]:
    from cryptography import x509

    found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return [*found.get_values_for_type(x509.DNSName), *map(str, found.get_values_for_type(x509.IPAddress))]


def _named(name: str) -> "GeneralName":
    from cryptography import x509

    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
