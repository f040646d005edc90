"""Which kinds of files are documents, by the endings of their names."""

from __future__ import annotations

from pathlib import Path

PDF, WORD, SLIDES, SHEETS, CSV, HTML, EPUB, MARKDOWN, TEXT, CODE, NOTEBOOK = (
    "pdf", "docx", "pptx", "xlsx", "csv", "html", "epub", "markdown", "text", "code", "notebook",
)  # fmt: skip
_ENDINGS = {
    PDF: "pdf",
    WORD: "docx docm",
    SLIDES: "pptx pptm",
    SHEETS: "xlsx xlsm",
    CSV: "csv tsv",
    HTML: "html htm xhtml",
    EPUB: "epub",
    MARKDOWN: "md markdown mdx",
    TEXT: "txt text log rst tex org srt vtt ini cfg conf properties",
    CODE: "py pyi js mjs ts tsx jsx java c h cc cpp cxx hpp cs go rs rb php swift kt kts scala lua pl r jl sh bash zsh ps1 bat "
    "sql json jsonl yaml yml toml xml css scss vue svelte dart hs ml clj ex erl m mm cmake make dockerfile proto",
    NOTEBOOK: "ipynb",
}
KIND_OF_ENDING = {f".{ending}": kind for kind, endings in _ENDINGS.items() for ending in endings.split()}


def kind_of(path: Path) -> str | None:
    """Return what kind of document a file is, None for another file."""
    return KIND_OF_ENDING.get(path.suffix.lower())


def is_document(path: Path) -> bool:
    """Tell whether a file is a document by its name."""
    return kind_of(path) is not None


def name_patterns() -> str:
    """Return the patterns of documents' names, for a dialog."""
    return " ".join(f"*{ending}" for ending in KIND_OF_ENDING)
