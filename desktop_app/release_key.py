"""The makers' signature (Ed25519, RFC 8032) under what runs as a program: engine parts and updates."""

from __future__ import annotations

from resources import RELEASE_KEY

SIGNATURE_BYTES = 64
_KEY_BYTES = 32


def is_signed(data: bytes, signature: bytes) -> bool:
    """Tell whether the key of releases signed the data; never where this build has no key.

    Args:
        data: what was signed.
        signature: 64 bytes.
    """
    from nacl.exceptions import (
        BadSignatureError,
    )  # the engine, which reads manifests at its start, checks no signatures
    from nacl.signing import VerifyKey

    key = release_key()
    if key is None or len(signature) != SIGNATURE_BYTES:
        return False
    try:
        VerifyKey(key).verify(data, signature)
    except BadSignatureError:
        return False
    return True


def release_key() -> bytes | None:
    """Return the public key of releases, 32 bytes; None: this build has none."""
    try:
        key = bytes.fromhex(RELEASE_KEY.read_text("ascii"))
    except (OSError, ValueError):
        return None
    return key if len(key) == _KEY_BYTES else None
