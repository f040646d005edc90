"""Sizes, speeds and dates in the user's language."""

from __future__ import annotations

import datetime

from PySide6.QtCore import QCoreApplication, QDate, QLocale

from desktop_app.library.installed_model import InstalledModel


def unbroken(text: str) -> str:
    """Return a number and its unit as one word: no line ends between them."""
    return text.replace(" ", "\N{NO-BREAK SPACE}")


def speed(tokens: float) -> str:
    """Return tokens a second with their unit."""
    return unbroken(QCoreApplication.translate("Speeds", "{speed} tokens/s").format(speed=number(tokens)))


def size(count: int) -> str:
    """Return bytes in decimal units, as file managers show them."""
    return unbroken(QLocale().formattedDataSize(count, 1, QLocale.DataSizeFormat.DataSizeSIFormat))


def duration(seconds: float) -> str:
    """Return a time that work still takes, no more exactly than it is known."""
    translate, minutes = QCoreApplication.translate, round(seconds / 60)
    if seconds < 60:
        text = translate("Times", "{count} s").format(count=max(1, round(seconds)))
    elif seconds < 3600:
        text = translate("Times", "{count} min").format(count=minutes)
    else:
        text = translate("Times", "{hours} h {minutes} min").format(hours=minutes // 60, minutes=minutes % 60)
    return unbroken(text)


def model_details(model: InstalledModel) -> str:
    """Return a model's quantization and size."""
    return " · ".join(part for part in (model.file_type, size(model.bytes)) if part)


def day_group(when: float, today: datetime.date | None = None) -> str:
    """Return the heading under which a chat of that time is listed."""
    today = today or datetime.datetime.now().astimezone().date()
    day = datetime.datetime.fromtimestamp(when).astimezone().date()
    age = (today - day).days
    if age <= 0:
        return QCoreApplication.translate("Dates", "Today")
    if age == 1:
        return QCoreApplication.translate("Dates", "Yesterday")
    if age < 7:
        return QCoreApplication.translate("Dates", "Last 7 days")
    if age < 30:
        return QCoreApplication.translate("Dates", "Last 30 days")
    first = QDate(day.year, day.month, 1)
    return QLocale().toString(first, QCoreApplication.translate("Dates", "MMMM yyyy"))


def number(value: float, digits: int = 1) -> str:
    """Return a number with the locale's decimal mark."""
    return QLocale().toString(float(value), "f", digits)


def with_keys(text: str, keys: str) -> str:
    """Return a tip with the keys that do the same, "" for none."""
    return QCoreApplication.translate("Tips", "{text} ({keys})").format(text=text, keys=keys) if keys else text
