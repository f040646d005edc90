"""A certificate for 127.0.0.1 and hub.test that nobody trusts by itself."""

from __future__ import annotations

import ssl
import subprocess
from pathlib import Path

import pytest


def make_certificate(path: Path) -> Path:
    """Write one, its key in front of it, and alone as `.crt` beside it."""
    words = ("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=hub.test")
    names = ("-addext", "subjectAltName=DNS:hub.test,IP:127.0.0.1", "-keyout", str(path), "-out", f"{path}.crt")
    try:
        subprocess.run([*words, *names], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("openssl is not here")
    path.write_text(path.read_text() + Path(f"{path}.crt").read_text())
    return path


def tls_of(certificate: Path) -> ssl.SSLContext:
    """Return what a server with the certificate needs."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context
