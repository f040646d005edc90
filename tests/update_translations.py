"""Brings the .ts files up to date by Qt's own tool: `python -m tests.update_translations`.

New texts come as unfinished entries, those that the code no longer has go. Traditional Chinese has finished entries only: what
it lacks is shown in Simplified Chinese, and `tests/desktop_app/ui/i18n/test_traditional.py` names it.
"""

from __future__ import annotations

import re
import subprocess
import sysconfig
from pathlib import Path

from tests.support.sentences import PACKAGES, ROOT, sentence_classes

_PLACEHOLDER = re.compile(
    r" *<message>\s*<source>{\w+}</source>\s*<translation type=.unfinished.></translation>\s*</message>\n"
)
"""An entry with nothing to translate: the failure of an old reply, whose words are in a chat's file."""
_UNFINISHED = re.compile(r" *<message>(?:(?!</message>).)*type=.unfinished.(?:(?!</message>).)*</message>\n", re.DOTALL)
_EMPTY = re.compile(r"<context>\s*<name>[^<]*</name>\s*</context>\n")
TRANSLATIONS = ROOT / "resources" / "translations" / "zhiyin_zh_CN.ts"
TRADITIONAL = TRANSLATIONS.with_name("zhiyin_zh_TW.ts")


def update(file: Path = TRANSLATIONS) -> None:
    """Run lupdate, which takes the sentences' classes and `to_translate` for its own marks."""
    marks = [f"QT_TR_NOOP+={name}" for name in sorted(sentence_classes())] + ["QT_TRANSLATE_NOOP+=to_translate"]
    tool = Path(sysconfig.get_path("scripts"), "pyside6-lupdate")
    options = ("-silent", "-locations", "none", "-no-obsolete", "-sort-messages", "-extensions", "py")
    command = [str(tool), *options, "-tr-function-alias", ",".join(marks), *PACKAGES, "-ts", str(file)]
    subprocess.run(command, cwd=ROOT, check=True)
    text = file.read_text("utf-8")
    text = _PLACEHOLDER.sub("", text)
    if file.name == TRADITIONAL.name:
        text = _EMPTY.sub("", _UNFINISHED.sub("", text))
    file.write_text(text, "utf-8")


if __name__ == "__main__":
    for translations in (TRANSLATIONS, TRADITIONAL):
        update(translations)
