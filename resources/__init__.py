"""Data files of the application: icons, styles, translations, catalogue."""

from pathlib import Path

RELEASE_KEY = Path(__file__).with_name("release.pub")
"""The public key of releases (Ed25519, hexadecimal); written by `packaging/sign.py new`, absent where there is none yet."""
