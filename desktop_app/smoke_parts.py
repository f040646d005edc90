"""Parts of the smoke test beside the engine and the window: every library that a bundle could have been built without.

Each trial names the distributions that it needs, as pyproject.toml has them. A test compares the two, so that a new dependency
comes with its trial. No socket of a network is opened.
"""

from __future__ import annotations

import asyncio
import importlib
import ssl
import sys
import threading
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from converter.gguf_header import is_gguf
from desktop_app.assistant.sandbox.confinement import confinement
from desktop_app.assistant.sandbox.pure_python import PurePython
from desktop_app.assistant.sandbox.python_kernel import PythonKernel
from desktop_app.assistant.tool import ToolResult
from desktop_app.documents.embedder import Embedder
from desktop_app.documents.extraction_process import Extractor
from desktop_app.library.embedding_model import bundled_embedding_model
from models.errors import ZhiyinError

_SENTENCE = "Zhiyin 知音"


@dataclass(frozen=True)
class Trial:
    """One part of the application."""

    name: str
    needs: tuple[str, ...]
    """Distributions, by their names in pyproject.toml."""
    run: Callable[[Path], str]
    """Uses the part in an empty folder, and says what came; raises where it does not work."""


def try_parts(folder: Path) -> dict[str, str]:
    """Run every trial below a folder and return what each found.

    Raises:
        ZhiyinError: parts do not work; all are named.
    """
    results, failed = {}, []
    for number, trial in enumerate(TRIALS):
        work = folder / str(number)
        work.mkdir()
        try:
            results[trial.name] = trial.run(work)
        except Exception as error:  # whatever a library raises that lacks a part of itself
            failed.append(f"{trial.name}: {type(error).__name__}: {error}")
    if failed:
        raise ZhiyinError(
            "Parts of this installation do not work ({parts}); install it again.", parts="; ".join(failed)
        )
    return results


def _documents(folder: Path) -> str:
    """Extract the text of one file of each kind."""
    files = write_documents(folder)
    with Extractor() as extractor:
        for path in files:
            document = extractor.extract(path)
            text = "".join(block.text for page in document.pages for block in page.blocks)
            _expect("Zhiyin" in text or "知音" in text, f"{path.suffix}: {text!r}")
    return ", ".join(sorted(path.suffix[1:] for path in files))


def _python(folder: Path) -> str:
    """Draw in the confined interpreter, where the system has one; its trial would open a port."""
    system = confinement()
    if system is None or not system.is_there():
        return "not on this system"
    kernel = PythonKernel(folder)
    try:
        code = "import numpy, sqlite3, matplotlib.pyplot as p\np.plot(numpy.arange(9)); p.title('x')\nint(numpy.arange(9).sum())"
        result = kernel.run(code, threading.Event(), _ignore)
    finally:
        kernel.close()
    _check_run(result, "36")
    _expect([path.suffix for path in result.files] == [".png"], f"{result.files}")
    return "draws"


def _pure_python(folder: Path) -> str:
    """Calculate in the interpreter of the other systems."""
    interpreter = PurePython()
    try:
        _check_run(interpreter.run("sum(range(9))", threading.Event(), _ignore), "36")
    finally:
        interpreter.close()
    return "calculates"


def _embedding(folder: Path) -> str:
    """Convert the embedding model that comes along, and compare two sentences of one meaning with a third."""
    model = bundled_embedding_model()
    if model is None:
        return "not in this installation"
    _expect(is_gguf(model), "no GGUF file")
    texts = ("The weather is fine today.", "今天天气很好。", "The invoice is due on Monday.")
    with Embedder(model) as embedder:
        vectors = embedder.vectors(texts, "document")
    near, far = float(vectors[0] @ vectors[1]), float(vectors[0] @ vectors[2])
    _expect(near > far, f"{near:.3f} is not more than {far:.3f}")
    return f"{vectors.shape[1]} dimensions"


def _scripts(folder: Path) -> str:
    """Ask for the script of a character."""
    from fontTools.unicodedata import script

    return str(script("知"))


def _converting(folder: Path) -> str:
    """Convert numbers of a type that NumPy lacks, and read a model card."""
    import ml_dtypes
    import yaml
    from gguf import GGUFReader, GGUFWriter

    writer = GGUFWriter(folder / "a.gguf", "llama")
    writer.add_tensor("a", np.arange(4).astype(ml_dtypes.bfloat16).astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    _expect(list(GGUFReader(folder / "a.gguf").tensors[0].data) == [0, 1, 2, 3], "the numbers changed")
    return str(yaml.safe_load("language: zh")["language"])


def _server(folder: Path) -> str:
    """Ask the server's application, without a socket, and prepare what would listen."""
    import uvicorn
    from httpx2 import ASGITransport, AsyncClient

    from desktop_app.library.installed import Library
    from desktop_app.server.access import AccessRules
    from desktop_app.server.activity import Activity
    from desktop_app.server.app import application
    from desktop_app.server.connections import BoundedProtocol
    from desktop_app.server.model_pool import ModelPool, PoolSettings

    app = application(ModelPool(Library(folder), PoolSettings()), Activity(), AccessRules())

    async def ask() -> int:
        async with AsyncClient(transport=ASGITransport(app), base_url="http://127.0.0.1") as client:
            return (await client.get("/v1/models")).status_code

    code = asyncio.run(ask())
    _expect(code == 200, f"status {code}")
    config = uvicorn.Config(app, http=BoundedProtocol, ws="none", log_config=None)
    config.load()
    config.get_loop_factory()
    return "answers"


def _schemas(folder: Path) -> str:
    """Resolve a reference in a JSON schema, and check a value against it."""
    from jsonschema import Draft202012Validator
    from referencing import Registry
    from referencing.jsonschema import DRAFT202012

    resource = DRAFT202012.create_resource({"$defs": {"a": {"type": "null"}}})
    registry: Registry[Any] = Registry().with_resource("", resource)
    schema = registry.resolver().lookup("#/$defs/a").contents
    _expect(Draft202012Validator(schema).is_valid(None), "null is no null")
    return str(schema["type"])


def _mcp(folder: Path) -> str:
    """Speak MCP with a server that is a few lines of this function."""
    import anyio
    from mcp import ClientSession, types
    from mcp.client.streamable_http import streamable_http_client
    from mcp.shared.message import SessionMessage

    from desktop_app.assistant.mcp.stdio import process_streams

    _expect(callable(process_streams) and callable(streamable_http_client), "a transport is missing")
    answers: dict[str, dict[str, Any]] = {
        "initialize": {
            "protocolVersion": "2025-06-18",
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "smoke", "version": "1"},
        },
        "tools/list": {"tools": [{"name": "echo", "inputSchema": {"type": "object"}}]},
    }

    async def speak() -> list[str]:
        to_client, read = anyio.create_memory_object_stream[SessionMessage | Exception](4)
        write, from_client = anyio.create_memory_object_stream[SessionMessage](4)

        async def answer() -> None:
            async for sent in from_client:
                asked = sent.message.model_dump(by_alias=True)
                if asked.get("method") in answers:
                    reply = {"jsonrpc": "2.0", "id": asked["id"], "result": answers[asked["method"]]}
                    message = types.jsonrpc_message_adapter.validate_python(reply, by_name=False)
                    await to_client.send(SessionMessage(message))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(answer)
            async with ClientSession(read, write) as session:
                await session.initialize()
                names = [tool.name for tool in (await session.list_tools()).tools]
            tasks.cancel_scope.cancel()
        return names

    names = asyncio.run(speak())
    _expect(names == ["echo"], f"{names}")
    return "speaks"


def _downloads(folder: Path) -> str:
    """Make the clients of downloads: certificates and SOCKS are found when they are made."""
    import httpx2
    from huggingface_hub import constants

    with httpx2.Client(proxy="socks5://127.0.0.1:9"), httpx2.Client():
        authorities = ssl.create_default_context().cert_store_stats()
    return f"{constants.ENDPOINT.partition('://')[2]}, {authorities['x509_ca']} authorities of the system"


def _keyring(folder: Path) -> str:
    """Find this system's keyring; it is not opened."""
    import keyring

    module = {"linux": "SecretService", "win32": "Windows", "darwin": "macOS"}[sys.platform]
    backend = importlib.import_module(f"keyring.backends.{module}").Keyring
    if sys.platform == "linux":
        importlib.import_module("secretstorage")
    return f"{backend.__module__}, {type(keyring.get_keyring()).__name__}"


def _bin(folder: Path) -> str:
    """Find what moves files into this system's bin; nothing is moved into anybody's."""
    from send2trash import send2trash

    return str(send2trash.__module__)


def _terminal(folder: Path) -> str:
    """Type a message into the editor of the terminal."""
    from prompt_toolkit import PromptSession
    from prompt_toolkit.input import create_pipe_input
    from prompt_toolkit.output import DummyOutput
    from wcwidth import wcswidth

    with create_pipe_input() as typed:
        typed.send_text(f"{_SENTENCE}\r")
        text: str = PromptSession[str](input=typed, output=DummyOutput()).prompt("> ")
    _expect(text == _SENTENCE, f"{text!r}")
    return f"{wcswidth(text)} columns"


def _markdown(folder: Path) -> str:
    """Parse and colour what models write most."""
    from markdown_it import MarkdownIt

    from desktop_app.ui.markdown.highlight import highlight

    _expect("<table>" in MarkdownIt().enable("table").render("|a|\n|-|\n|1|"), "no table")
    for language, code in (("python", "def f(): pass"), ("cpp", "int i;"), ("json", '{"a": 1}'), ("bash", "if true")):
        _expect(bool(highlight(code, language)), language)
    return "coloured"


def _adapters(folder: Path) -> str:
    """Match a name by an adapter's pattern."""
    from converter.checkpoint.alpha_patterns import AlphaPatterns
    from models.config import Config

    patterns = AlphaPatterns(Config({"alpha_pattern": {r"layers\.\d+\.up_proj": 4}}), folder)
    _expect(patterns.alpha("model.layers.1.up_proj") == 4, "another alpha")
    return "matched"


def _formulas(folder: Path) -> str:
    """Set a formula as in print."""
    from desktop_app.ui.markdown.typesetting import typeset

    _expect(typeset(r"\frac{a}{b}", display=True) is not None, "no picture")
    return "set"


def _signatures(folder: Path) -> str:
    """Sign and check as releases are."""
    from nacl.signing import SigningKey

    key = SigningKey.generate()
    return f"{len(key.verify_key.verify(key.sign(b'zhiyin')))} bytes"


def _expect(holds: bool, actual: str) -> None:
    if not holds:
        raise ZhiyinError("unexpected: {found}", found=actual)


def _check_run(result: ToolResult, value: str) -> None:
    _expect(not result.failed and result.text.endswith(value), result.text)


def _ignore(text: str) -> None:
    """Take output that nobody reads."""


def write_documents(folder: Path) -> list[Path]:
    """Write a small file of each kind, and return them."""
    files = [_write_pdf(folder / "a.pdf"), _write_word(folder / "a.docx"), _write_slides(folder / "a.pptx")]
    files += [_write_sheets(folder / "a.xlsx"), _write_epub(folder / "a.epub")]
    for name, encoding in (("a.txt", "gb18030"), ("a.html", "utf-8"), ("a.csv", "utf-16")):
        files.append(folder / name)
        files[-1].write_bytes("知音是一个离线的助手，文档留在这台电脑上。\n".encode(encoding))
    return files


def _write_pdf(path: Path) -> Path:
    stream = b"BT /F1 12 Tf 72 720 Td (Zhiyin) Tj ET"
    bodies = (
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [4 0 R] /Count 1 >>",
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Resources << /Font << /F1 3 0 R >> >> /Contents 5 0 R >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream),
    )
    # Without a table of places: the reader makes one.
    objects = b"".join(b"%d 0 obj\n%s\nendobj\n" % (number, body) for number, body in enumerate(bodies, 1))
    path.write_bytes(b"%PDF-1.4\n" + objects + b"trailer\n<< /Size 6 /Root 1 0 R >>\n%%EOF\n")
    return path


_TYPES = "http://schemas.openxmlformats.org/package/2006"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"


def _write_office(path: Path, main: str, kind: str, parts: dict[str, str]) -> Path:
    """Write an Office file: its main part, the main part's kind, and all parts by name."""
    overrides = "".join(
        f'<Override PartName="/{name}" ContentType="application/vnd.openxmlformats-officedocument.{kinds}+xml"/>'
        for name, kinds in ((main, kind), ("ppt/slides/slide1.xml", "presentationml.slide"))
        if name in parts
    )
    types = '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("[Content_Types].xml", f'<Types xmlns="{_TYPES}/content-types">{types}{overrides}</Types>')
        archive.writestr("_rels/.rels", _relation("officeDocument", main))
        for name, text in parts.items():
            archive.writestr(name, text)
    return path


def _relation(kind: str, target: str) -> str:
    return (
        f'<Relationships xmlns="{_TYPES}/relationships">'
        f'<Relationship Id="r1" Type="{_OFFICE}/{kind}" Target="{target}"/></Relationships>'
    )


def _write_word(path: Path) -> Path:
    space = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
    text = f"<w:p><w:r><w:t>{_SENTENCE}</w:t></w:r></w:p>"
    document = f'<w:document xmlns:w="{space}"><w:body>{text}</w:body></w:document>'
    return _write_office(path, "word/document.xml", "wordprocessingml.document.main", {"word/document.xml": document})


def _write_slides(path: Path) -> Path:
    spaces = (
        'xmlns:p="http://schemas.openxmlformats.org/presentationml/2006/main" '
        f'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main" xmlns:r="{_OFFICE}"'
    )
    text = f"<p:txBody><a:bodyPr/><a:p><a:r><a:t>{_SENTENCE}</a:t></a:r></a:p></p:txBody>"
    shape = f'<p:sp><p:nvSpPr><p:cNvPr id="2" name="a"/><p:cNvSpPr/><p:nvPr/></p:nvSpPr><p:spPr/>{text}</p:sp>'
    group = '<p:nvGrpSpPr><p:cNvPr id="1" name=""/><p:cNvGrpSpPr/><p:nvPr/></p:nvGrpSpPr><p:grpSpPr/>'
    parts = {
        "ppt/presentation.xml": f'<p:presentation {spaces}><p:sldIdLst><p:sldId id="256" r:id="r1"/></p:sldIdLst>'
        "</p:presentation>",
        "ppt/_rels/presentation.xml.rels": _relation("slide", "slides/slide1.xml"),
        "ppt/slides/slide1.xml": f"<p:sld {spaces}><p:cSld><p:spTree>{group}{shape}</p:spTree></p:cSld></p:sld>",
    }
    return _write_office(path, "ppt/presentation.xml", "presentationml.presentation.main", parts)


def _write_sheets(path: Path) -> Path:
    import openpyxl

    workbook = openpyxl.Workbook()
    workbook.active.append([_SENTENCE, 1])
    workbook.save(path)
    return path


def _write_epub(path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("mimetype", "application/epub+zip")
        archive.writestr(
            "META-INF/container.xml",
            '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container" version="1.0"><rootfiles>'
            '<rootfile full-path="a.opf" media-type="application/oebps-package+xml"/></rootfiles></container>',
        )
        archive.writestr(
            "a.opf",
            '<package xmlns="http://www.idpf.org/2007/opf" version="3.0"><manifest>'
            '<item id="a" href="a.xhtml" media-type="application/xhtml+xml"/></manifest>'
            '<spine><itemref idref="a"/></spine></package>',
        )
        archive.writestr("a.xhtml", f"<html><body><p>{_SENTENCE}</p></body></html>")
    return path


_OF_DOCUMENTS = ("charset-normalizer", "defusedxml", "lxml", "openpyxl", "pypdfium2", "python-docx", "python-pptx")
TRIALS = (
    Trial("documents", _OF_DOCUMENTS, _documents),
    Trial("python", ("matplotlib", "numpy"), _python),
    Trial("pure python", ("pydantic-monty",), _pure_python),
    Trial("embedding", ("numpy",), _embedding),
    Trial("scripts", ("fonttools",), _scripts),
    Trial("converting", ("gguf", "ml-dtypes", "pyyaml"), _converting),
    Trial("adapters", ("regex",), _adapters),
    Trial("server", ("starlette", "uvicorn", "httpx2"), _server),
    Trial("mcp", ("anyio", "mcp"), _mcp),
    Trial("schemas", ("jsonschema", "referencing"), _schemas),
    Trial("downloads", ("filelock", "httpx2", "huggingface-hub", "socksio"), _downloads),
    Trial("keyring", ("keyring",), _keyring),
    Trial("bin", ("send2trash",), _bin),
    Trial("terminal", ("prompt-toolkit", "wcwidth"), _terminal),
    Trial("markdown", ("markdown-it-py", "pygments"), _markdown),
    Trial("formulas", ("ziamath",), _formulas),
    Trial("signatures", ("pynacl",), _signatures),
)
