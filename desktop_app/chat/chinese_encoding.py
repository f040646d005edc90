"""Which of the two Chinese encodings before Unicode a text is in: each reads the other's bytes, as nonsense."""

from __future__ import annotations

_COMMON = frozenset(
    "的一是不了在人有我他这上们来到时大地为子中你说生国年着就那和要她出也得里后自以会個這們來時國說為會對過還沒發現後"
)
"""Characters by which Chinese in one of the two is told from nonsense in the other."""


def chinese_encoding(data: bytes) -> str | None:
    """Return gb18030 or big5; None: it is Chinese in neither. The last character may be cut."""
    scored = []
    for encoding in ("gb18030", "big5"):
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError as error:
            if error.start < len(data) - 4:
                continue
            text = data[: error.start].decode(encoding, "ignore")
        wide = sum("\u4e00" <= character <= "\u9fff" for character in text)
        common = sum(character in _COMMON for character in text)
        if wide and common * 20 >= wide:
            scored.append((common / wide, encoding))
    return max(scored)[1] if scored else None
