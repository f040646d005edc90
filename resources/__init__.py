"""Data files of the application: icons, styles, translations, catalogue."""

from pathlib import Path

FOLDER = Path(__file__).parent
"""Where they lie; importlib.resources takes some milliseconds of each start to say the same."""
RELEASE_KEY = FOLDER / "release.pub"
"""The public key of releases (Ed25519, hexadecimal); written by `packaging/sign.py new`, absent where there is none yet."""
