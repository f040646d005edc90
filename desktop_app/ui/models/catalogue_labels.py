"""Labels of the catalogue's models."""

from __future__ import annotations

from PySide6.QtCore import QCoreApplication, QLocale

from desktop_app.library.catalogue import CatalogueOffer, disk_needed, disk_room
from desktop_app.ui.i18n.formats import number, size
from desktop_app.ui.i18n.translate import to_translate
from desktop_app.ui.models.fit import quality_words, reason, speed_words

_LANGUAGES = {
    "zh": "中文", "en": "English", "ja": "日本語", "ko": "한국어", "fr": "français", "de": "Deutsch", "es": "español",
    "pt": "português", "it": "italiano", "ru": "русский", "vi": "Tiếng Việt", "th": "ไทย", "ar": "العربية", "hi": "हिन्दी",
}  # fmt: skip
_SHOWN_LANGUAGES = 3
_LICENCES = (
    to_translate("Licences", "Apache-2.0 (and the Llama 2 Community License)"),
    to_translate("Licences", "MIT (and the Llama licences)"),
    to_translate("Licences", "Baichuan model licences"),
    to_translate("Licences", "Code Apache-2.0; weights free for research, commercial use on application"),
    to_translate("Licences", "Code Apache-2.0; ChatGLM-6B Model License"),
    to_translate("Licences", "Code Apache-2.0; ChatGLM2-6B Model License"),
    to_translate("Licences", "Code Apache-2.0; ChatGLM3-6B Model License"),
    to_translate("Licences", "Tongyi Qianwen License; 0.5B, 1.8B and 4B: Tongyi Qianwen Research License"),
    to_translate("Licences", "Tongyi Qianwen License; 1.8B: Tongyi Qianwen Research License"),
)
"""The licences that are described and not named alone."""


def purpose(offer: CatalogueOffer) -> str:
    """Return what a model is good for, in the window's language."""
    texts, locale = offer.entry.good_for, QLocale()
    if locale.language() != QLocale.Language.Chinese:
        return texts["en"]
    return texts["zh_TW" if locale.script() == QLocale.Script.TraditionalHanScript else "zh"]


def nature(offer: CatalogueOffer) -> str:
    """Return size, languages, context, year and licence of a model, in one line."""
    size_words = (
        f"{offer.model.parameters:g}B" if offer.model.parameters >= 0.1 else f"{1000 * offer.model.parameters:g}M"
    )
    parts = [size_words]
    if offer.model.measures == "vectors":
        parts.append(QCoreApplication.translate("Catalogue", "makes vectors for documents"))
    elif offer.model.measures:
        parts.append(QCoreApplication.translate("Catalogue", "puts passages of documents in order"))
    elif not offer.model.chat:
        parts.append(QCoreApplication.translate("Catalogue", "goes on with texts, no chat"))
    parts += [_languages(offer), _context(offer), str(offer.entry.year), licence(offer)]
    return " · ".join(parts)


def licence(offer: CatalogueOffer) -> str:
    """Return the name of a model's licence, or where it is described."""
    if offer.entry.licence is None:
        return QCoreApplication.translate("Catalogue", "licence: see its page")
    return QCoreApplication.translate("Licences", offer.entry.licence)


def cost(offer: CatalogueOffer) -> str:
    """Return the planner's choice with its speed, and what has to be fetched and kept for it, in one line."""
    option = offer.option
    parts = []
    if option is not None:
        if offer.fits:
            parts += [option.quant, "" if offer.model.measures else speed_words(option)]
        else:
            text = QCoreApplication.translate("Catalogue", "even {quant} needs {size} more memory than is free")
            parts.append(text.format(quant=option.quant, size=size(option.shortfall)))
    elif offer.sizes is None:
        parts.append(QCoreApplication.translate("Catalogue", "its sizes are not known"))
    if offer.download is not None:
        parts.append(_download_words(offer, offer.download))
    if offer.disk is not None:
        parts.append(QCoreApplication.translate("Catalogue", "{size} on disk").format(size=size(offer.disk)))
    return " · ".join(part for part in parts if part)


def _download_words(offer: CatalogueOffer, download: int) -> str:
    """Return the bytes of both ways: nobody is asked what a publisher offers before the user wants the model."""
    if offer.disk is None or offer.disk >= download:
        return QCoreApplication.translate("Catalogue", "{size} to download").format(size=size(download))
    text = QCoreApplication.translate("Catalogue", "{size} to download ({small} if its publisher has it ready-made)")
    return text.format(size=size(download), small=size(offer.disk))


def shortage(offer: CatalogueOffer, free_disk: int | None) -> str:
    """Say what the disk has no room for: download and result together, or not even a ready-made file; "" where it has."""
    room = disk_room(offer, free_disk)
    if free_disk is None or room == "convert":
        return ""
    if room == "ready_made":
        text = QCoreApplication.translate(
            "Catalogue",
            "Download and result take {needed} of disk, {free} are free: fits only ready-made, or converted file by file",
        )
    else:
        text = QCoreApplication.translate("Catalogue", "{needed} of disk needed, {free} free")
    needed = disk_needed(offer)
    return text.format(needed=size(needed), free=size(free_disk))


def everything(offer: CatalogueOffer) -> str:
    """Return all that is known of a model, a line for each thing."""
    all_languages = " · ".join(_LANGUAGES.get(code, code) for code in offer.entry.languages)
    lines = [offer.model.source, purpose(offer), nature(offer), all_languages, cost(offer)]
    if offer.option is not None:
        lines.append(quality_words(offer.option))
        lines.append(reason(offer.option))
    return "\n".join(dict.fromkeys(lines))


def search_text(offer: CatalogueOffer) -> str:
    """Return the words that a search looks through, in lower case: names, languages, and both purposes."""
    entry, model = offer.entry, offer.model
    languages = (f"{code} {_LANGUAGES.get(code, '')}" for code in entry.languages)
    parts = (
        model.source,
        model.name,
        entry.title,
        entry.family,
        entry.licence or "",
        *languages,
        *entry.good_for.values(),
    )
    return " ".join((*parts, f"{model.parameters:g}b", licence(offer))).lower()


def _languages(offer: CatalogueOffer) -> str:
    names = [_LANGUAGES.get(code, code) for code in offer.entry.languages]
    more = f" +{len(names) - _SHOWN_LANGUAGES}" if len(names) > _SHOWN_LANGUAGES else ""
    return ", ".join(names[:_SHOWN_LANGUAGES]) + more


def _context(offer: CatalogueOffer) -> str:
    if offer.endless:
        return QCoreApplication.translate("Catalogue", "context without limit")
    text = QCoreApplication.translate("Catalogue", "context {count}")
    return text.format(count=number(offer.model.context, 0))
