"""The cluster's own certificate authority, and the credentials that it gives out."""

from __future__ import annotations

import base64
import datetime as dt
import json
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_LIFE: Final = dt.timedelta(days=30)
_USES: Final = (ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH)


@dataclass(frozen=True)
class Authority:
    """An authority whose keys and certificates are files of one folder, made where they are missing."""

    folder: Path

    @property
    def certificate(self) -> Path:
        """The authority's own certificate."""
        if not (path := self.folder / "ca.crt").exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            key = self._key("ca")
            path.write_bytes(_pem(_builder(_subject("test-cluster"), key, authority=True).sign(key, hashes.SHA256())))
        return path

    def issue(self, file: str, name: str, group: str = "", hosts: Sequence[str] = ()) -> tuple[Path, Path]:
        """Return the certificate and the key of someone, for signing in and for serving."""
        path = self.folder / f"{file}.crt"
        if not path.exists():
            issuer = x509.load_pem_x509_certificate(self.certificate.read_bytes()).subject
            builder = _builder(_subject(name, group), self._key(file)).issuer_name(issuer)
            if hosts:
                names = x509.SubjectAlternativeName([_host(host) for host in hosts])
                builder = builder.add_extension(names, critical=False)
            builder = builder.add_extension(x509.ExtendedKeyUsage(_USES), critical=False)
            path.write_bytes(_pem(builder.sign(self._key("ca"), hashes.SHA256())))
        return path, path.with_suffix(".key")

    def signing_key(self, file: str) -> Path:
        """Return the file of a key that signs tokens."""
        self._key(file)
        return self.folder / f"{file}.key"

    def kubeconfig(self, file: str, name: str, group: str, server: str) -> Path:
        """Return a file by which someone signs in to the API server."""
        certificate, key = self.issue(file, name, group)
        cluster = {"server": server, "certificate-authority-data": _data(self.certificate)}
        user = {"client-certificate-data": _data(certificate), "client-key-data": _data(key)}
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "test", "cluster": cluster}],
            "users": [{"name": name, "user": user}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": name}}],
            "current-context": "test",
        }
        path = self.folder / f"{file}.kubeconfig"
        path.write_text(json.dumps(content, indent=2), encoding="utf-8")
        path.chmod(0o600)
        return path

    def _key(self, file: str) -> ec.EllipticCurvePrivateKey:
        path = self.folder / f"{file}.key"
        if not path.exists():
            path.touch(mode=0o600)
            path.write_bytes(_private(ec.generate_private_key(ec.SECP256R1())))
        key = serialization.load_pem_private_key(path.read_bytes(), None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        return key


def _subject(name: str, group: str = "") -> x509.Name:
    parts = [x509.NameAttribute(NameOID.COMMON_NAME, name)]
    return x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, group), *parts] if group else parts)


def _builder(
    subject: x509.Name, key: ec.EllipticCurvePrivateKey, *, authority: bool = False
) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=5))
        .not_valid_after(now + _LIFE)
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
    )
    return builder.issuer_name(subject) if authority else builder


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _private(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )


def _data(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode("ascii")
