"""A real HTTP server that speaks the parts of the Hub's and of ModelScope's API that downloads use, with faults at will.

Parts: `/api/models/ORG/NAME[/revision/R]?blobs=True` (siblings with size, git's SHA-1, LFS's SHA-256), `/ORG/NAME/resolve/R/FILE`
(Range, ETag, X-Repo-Commit, X-Linked-*, a redirect of large files to a content network), 401 with X-Error-Code as the Hub has it.

Lists: `/api/models?search=WORDS&limit=N&expand[]=…`, and ModelScope's `/openapi/v1/models?search=WORDS&page_size=N`
and `/openapi/v1/models/ORG/NAME` for one; what they tell of a repository is `Repository.facts`.

ModelScope's: `/api/v1/models/ORG/NAME/repo/files?Revision=master&Recursive=true[&Root=FOLDER]` (Data.Files with Path, Type, Size,
Sha256, the first `most_listed` of them),
`/api/v1/models/ORG/NAME/repo?Revision=master&FilePath=FILE` (parts come with status 200), every refusal a 404 whose Code says
why, the token in a cookie. Its branch is called master.

A hostile server answers with bytes of its own: `HubServer.raw`.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import PurePosixPath
from types import MappingProxyType, TracebackType
from urllib.parse import parse_qs, unquote, urlsplit

_PIECE = 256 * 1024
"""Bytes that a slow connection gets at once."""


@lru_cache(maxsize=512)
def _sha256(content: bytes) -> str:
    """Return a file's digest, computed once: a benchmark asks for every part of a large one."""
    return hashlib.sha256(content).hexdigest()


@lru_cache(maxsize=512)
def _git_digest(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


@dataclass
class Repository:
    """A repository on the server."""

    revisions: dict[str, dict[str, bytes]]
    """Branch or tag -> file -> content."""
    lfs: tuple[str, ...] = (".safetensors", ".bin", ".gguf", ".pth")
    gated: bool = False
    facts: dict[str, object] = field(default_factory=dict)
    """What lists tell of it besides its name: downloads, config, safetensors, cardData, license, params …"""
    private: bool = False

    def commit(self, revision: str) -> str | None:
        """Return the commit of a branch, tag or commit."""
        commits = {self._hash(name): self._hash(name) for name in self.revisions}
        return commits.get(revision) or (self._hash(revision) if revision in self.revisions else None)

    def files(self, commit: str) -> dict[str, bytes]:
        """Return a commit's files."""
        return next(files for name, files in self.revisions.items() if self._hash(name) == commit)

    @staticmethod
    def _hash(name: str) -> str:
        return hashlib.sha1(name.encode(), usedforsecurity=False).hexdigest()


@dataclass
class Faults:
    """What goes wrong; everything is off at first."""

    drop_after: int = 0
    """Close the connection after so many bytes of an answer …"""
    drops: int = 0
    """… this many times."""
    wrong_bytes: str = ""
    """This file comes with one byte changed."""
    ignore_ranges: bool = False
    status: int = 0
    """Answer the next `status_count` requests for files with this."""
    status_count: int = 0
    retry_after: str = ""
    """What such an answer says of when to ask again."""
    delay: float = 0.0
    """Seconds before each answer."""
    bytes_per_second: float = 0.0
    """Of each connection; 0: as fast as it goes."""


@dataclass
class Request:
    """What a client asked for."""

    method: str
    path: str
    range: str | None
    authorization: str | None
    cookie: str | None = None
    query: dict[str, str] = field(default_factory=dict)
    served: bool = False
    """Content came from this very address."""


Raw = Callable[[Request], Iterable[bytes]]
"""Given a request, gives the bytes that are sent as they are; then the connection is closed."""


@dataclass
class HubServer:
    """A Hub on a free port of this computer."""

    repositories: dict[str, Repository] = field(default_factory=dict)
    token: str = "hf_secret"  # noqa: S105 - of this server alone
    faults: Faults = field(default_factory=Faults)
    requests: list[Request] = field(default_factory=list)
    content_at: str = ""
    """The address of the content network; "": its own."""
    most_listed: int = 3000
    """Entries that ModelScope lists in one answer."""
    sent: int = 0
    """Bytes of all answers, without their heads."""
    raw: dict[str, Raw] = field(default_factory=dict)
    """A pattern of paths -> what is sent in place of an answer."""
    closing: threading.Event = field(default_factory=threading.Event)
    """Set at the end; what is slow on purpose waits for it."""

    def __enter__(self) -> HubServer:
        hub = self

        class Handler(_Handler):
            server_hub = hub

        self._server = _Server(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def fetched(self, name: str) -> list[str | None]:
        """Return the ranges that were asked of a file's content; a redirect is none."""
        return [r.range for r in self.requests if r.path.endswith(f"/{name}") and (r.served or "/cdn/" in r.path)]


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of clients that went away, and let other errors be seen."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_hub: HubServer

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        hub = self.server_hub
        path = unquote(urlsplit(self.path).path)
        query = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
        path = "/".join((path, *(query[name] for name in ("FilePath",) if name in query)))
        headers = (self.headers[name] for name in ("Range", "Authorization", "Cookie"))
        hub.requests.append(Request(self.command, path, *headers, query=query))
        raw = next((raw for pattern, raw in hub.raw.items() if re.search(pattern, path)), None)
        if raw is not None:
            self._send_raw(raw)
            return
        parts = path.strip("/").split("/")
        if parts in (["api", "models"], ["openapi", "v1", "models"]):
            self._list(query, wrapped=parts[0] == "openapi")
        elif parts[:3] == ["openapi", "v1", "models"]:
            self._json({"success": True, "data": self._facts("/".join(parts[3:5]))})
        elif parts[:3] == ["api", "v1", "models"]:
            self._modelscope("/".join(parts[3:5]), query)
        elif parts[:2] == ["api", "models"]:
            revision = "/".join(parts[5:]) if parts[4:5] == ["revision"] else "main"
            self._model("/".join(parts[2:4]), revision)
        elif parts[0] == "cdn":
            self._content("/".join(parts[1:3]), parts[3], "/".join(parts[4:]))
        elif parts[2:3] == ["resolve"]:
            self._resolve("/".join(parts[:2]), parts[3], "/".join(parts[4:]))
        else:
            self._error(404, "EntryNotFound", "Not found")

    def _send_raw(self, raw: Raw) -> None:
        self.close_connection = True
        with suppress(ConnectionError):
            for piece in raw(self.server_hub.requests[-1]):
                self.wfile.write(piece)
                self.wfile.flush()

    @property
    def _content_at(self) -> str:
        return self.server_hub.content_at or self.server_hub.endpoint

    def _allowed(self) -> bool:
        return self.headers["Authorization"] == f"Bearer {self.server_hub.token}"

    def _model(self, name: str, revision: str) -> None:
        repository = self.server_hub.repositories.get(name)
        if repository is None or (repository.private and not self._allowed()):
            # So does the Hub: it does not tell strangers what exists.
            self._error(401, "RepoNotFound", "Repository not found")
            return
        commit = repository.commit(revision)
        if commit is None:
            self._error(404, "RevisionNotFound", f"Invalid rev id: {revision}")
            return
        siblings = []
        for file, content in repository.files(commit).items():
            entry: dict[str, object] = {"rfilename": file, "size": len(content), "blobId": _git_digest(content)}
            if file.endswith(repository.lfs):
                digest = _sha256(content)
                entry["lfs"] = {"sha256": digest, "size": len(content), "pointerSize": 134}
            siblings.append(entry)
        info = {
            "id": name,
            "modelId": name,
            "sha": commit,
            "siblings": siblings,
            **self._facts(name),
        }
        self._json(info)

    def _list(self, query: dict[str, str], *, wrapped: bool) -> None:
        """Answer with the repositories whose names have all words, the most downloaded first."""
        faults = self.server_hub.faults
        if faults.status_count:
            faults.status_count -= 1
            self._error(faults.status, "", "Not now", {"Retry-After": faults.retry_after} if faults.retry_after else {})
            return
        words = query["search"].lower().split()
        names = [name for name in self.server_hub.repositories if all(word in name.lower() for word in words)]
        found = sorted((self._facts(name) for name in names), key=lambda facts: -int(str(facts.get("downloads", 0))))
        found = found[: int(query["page_size" if wrapped else "limit"])]
        self._json({"success": True, "data": {"models": found, "total_count": len(found)}} if wrapped else found)

    def _facts(self, name: str) -> dict[str, object]:
        repository = self.server_hub.repositories[name]
        return {"id": name, "gated": "manual" if repository.gated else False, **repository.facts}

    def _json(self, answer: object) -> None:
        self._send(200, json.dumps(answer).encode(), {"Content-Type": "application/json"})

    def _modelscope(self, name: str, query: dict[str, str]) -> None:
        repository = self.server_hub.repositories.get(name)
        known = self.headers["Cookie"] == f"m_session_id={self.server_hub.token}"
        if repository is None:
            self._no(10010205001, "获取模型目录树失败，信息：record not found")
        elif repository.private and not known:
            self._no(10010200001, "unauthorized permission")
        elif (commit := repository.commit(query["Revision"])) is None:
            self._no(10990101004, "no file tree")
        elif "FilePath" in query and self.server_hub.content_at:
            location = f"{self.server_hub.content_at}/cdn/{name}/{commit}/{query['FilePath']}"
            self._send(302, b"", {"Location": location})
        elif "FilePath" in query:
            self.server_hub.requests[-1].served = True
            self._content(name, commit, query["FilePath"], part_status=200)
        else:
            files = repository.files(commit)
            folders = {str(folder) for path in files for folder in PurePosixPath(path).parents} - {"."}
            entries = [{"Path": path, "Type": "tree", "Size": 0, "Sha256": "", "IsLFS": False} for path in folders]
            for path, content in files.items():
                digest, lfs = _sha256(content), path.endswith(repository.lfs)
                entries.append({"Path": path, "Type": "blob", "Size": len(content), "Sha256": digest, "IsLFS": lfs})
            root = query.get("Root", "")
            below = [e for e in entries if str(e["Path"]).startswith(f"{root}/" if root else "")]
            if query["Recursive"] != "true":
                below = [e for e in below if str(PurePosixPath(str(e["Path"])).parent) == (root or ".")]
            entries = below[: self.server_hub.most_listed]
            answer = {"Code": 200, "Data": {"Files": entries}, "Message": "success", "Success": True}
            self._send(200, json.dumps(answer).encode(), {"Content-Type": "application/json"})

    def _no(self, code: int, message: str) -> None:
        body = json.dumps({"Code": code, "Message": message, "Success": False}).encode()
        self._send(404, body, {"Content-Type": "application/json"})

    def _resolve(self, name: str, revision: str, file: str) -> None:
        repository = self.server_hub.repositories.get(name)
        commit = None if repository is None else repository.commit(revision)
        if repository is None or commit is None:
            self._error(404, "RepoNotFound", "Repository not found")
        elif repository.gated and not self._allowed():
            status = 403 if self.headers["Authorization"] else 401
            self._error(status, "GatedRepo", f"Access to model {name} is restricted.")
        elif file not in repository.files(commit):
            self._error(404, "EntryNotFound", "Entry not found")
        elif file.endswith(repository.lfs):
            content = repository.files(commit)[file]
            # Like the Hub's content network: another place, which needs no token.
            self._send(
                302,
                b"",
                {
                    "Location": f"{self._content_at}/cdn/{name}/{commit}/{file}",
                    "X-Repo-Commit": commit,
                    "X-Linked-Size": str(len(content)),
                    "X-Linked-ETag": f'"{_sha256(content)}"',
                },
            )
        else:
            self.server_hub.requests[-1].served = True
            self._content(name, commit, file)

    def _content(self, name: str, commit: str, file: str, part_status: int = 206) -> None:
        faults = self.server_hub.faults
        if faults.status_count:
            faults.status_count -= 1
            self._error(faults.status, "", "Not now", {"Retry-After": faults.retry_after} if faults.retry_after else {})
            return
        content = self.server_hub.repositories[name].files(commit)[file]
        if faults.wrong_bytes == file:
            content = content[:-1] + bytes([content[-1] ^ 1])
        headers = {
            "ETag": f'"{_sha256(content)}"',
            "X-Repo-Commit": commit,
            "Accept-Ranges": "bytes",
        }
        asked = self.headers["Range"]
        if asked and not faults.ignore_ranges:
            first, _, last = asked.removeprefix("bytes=").partition("-")
            end = min(int(last) if last else len(content) - 1, len(content) - 1)
            headers["Content-Range"] = f"bytes {first}-{end}/{len(content)}"
            self._send(part_status, memoryview(content)[int(first) : end + 1], headers)
        else:
            self._send(200, content, headers)

    def _error(self, status: int, code: str, message: str, more: Mapping[str, str] = MappingProxyType({})) -> None:
        headers = {"Content-Type": "application/json", "X-Error-Message": message, **more}
        self._send(status, json.dumps({"error": message}).encode(), headers | ({"X-Error-Code": code} if code else {}))

    def _send(self, status: int, body: bytes | memoryview, headers: dict[str, str]) -> None:
        faults = self.server_hub.faults
        time.sleep(faults.delay)
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "HEAD":
            return
        if faults.drops and status in (200, 206) and 0 < faults.drop_after < len(body) and "Accept-Ranges" in headers:
            faults.drops -= 1
            self.wfile.write(body[: faults.drop_after])
            self.wfile.flush()
            self.close_connection = True
            self.connection.close()
            return
        self.server_hub.sent += len(body)
        with suppress(ConnectionError):  # a client may go when it has read enough
            self._write(body)

    def _write(self, body: bytes | memoryview) -> None:
        """Send a body at the speed that the server gives a connection."""
        speed, begin = self.server_hub.faults.bytes_per_second, time.monotonic()
        if not speed:
            self.wfile.write(body)
            return
        for start in range(0, len(body), _PIECE):
            self.wfile.write(body[start : start + _PIECE])
            time.sleep(max(0.0, begin + (start + _PIECE) / speed - time.monotonic()))
