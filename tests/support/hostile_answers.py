"""Answers that no host of models gives: each case is what a server sends in place of a list, a file or a part of one."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Iterable, Iterator
from typing import Any

from tests.support.hub_server import HubServer, Raw

CONFIG = b'{"architectures": ["LlamaForCausalLM"]}'
_MEGABYTE = b"x" * 1_000_000


def git_digest(content: bytes) -> str:
    """Return git's digest of a file."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def entry(name: Any = "config.json", content: bytes = CONFIG, **changes: Any) -> dict[str, Any]:
    """Return what the Hub lists of a small file."""
    return {"rfilename": name, "size": len(content), "blobId": git_digest(content)} | changes


def weights(content: bytes = b"weights", name: Any = "model.safetensors", **changes: Any) -> dict[str, Any]:
    """Return what the Hub lists of a large file."""
    lfs = {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 134}
    return {"rfilename": name, "size": len(content), "blobId": "0" * 40, "lfs": lfs | changes}


def listing(*entries: Any, sha: Any = "a" * 40) -> bytes:
    """Return the Hub's answer to what a repository holds."""
    return json.dumps({"id": "org/model", "sha": sha, "siblings": list(entries)}).encode()


def answer(body: bytes, status: str = "200 OK", **headers: str) -> Raw:
    """Return a whole answer."""
    fields = {"Content-Type": "application/json", "Content-Length": str(len(body))} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    head = f"HTTP/1.1 {status}\r\n" + "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return lambda _: [head.encode("latin-1") + b"\r\n" + body]


def head(*lines: bytes, status: bytes = b"HTTP/1.1 200 OK") -> bytes:
    """Return the head of an answer."""
    return b"\r\n".join((status, *lines, b"", b""))


def raw(*pieces: bytes) -> Raw:
    """Return an answer of these bytes."""
    return lambda _: pieces


def endless(*first: bytes, piece: bytes = _MEGABYTE) -> Raw:
    """Return an answer that does not end."""

    def pieces(_: object) -> Iterator[bytes]:
        yield from first
        while True:
            yield piece

    return pieces


def slow(server: HubServer, *first: bytes, piece: bytes = b" ", seconds: float = 0.05) -> Raw:
    """Return an answer that trickles, or with an empty `piece` stands still, until the server ends."""

    def pieces(_: object) -> Iterable[bytes]:
        yield from first
        while not server.closing.wait(seconds):
            yield piece

    return pieces


def bomb(size: int) -> bytes:
    """Return a listing whose packed bytes are a thousandth of what they become."""
    return gzip.compress(b'{"siblings": [' + b" " * size + b"]}")


OK = head(b"Content-Type: application/json")
"""The head of an answer that ends with the connection."""

LISTINGS: dict[str, bytes] = {
    "null": b"null",
    "list": b"[]",
    "text": b'"org/model"',
    "number": b"7",
    "nothing": b"",
    "blanks": b"   ",
    "cut": listing(entry(), weights())[:-20],
    "two values": listing(entry()) + b"{}",
    "binary": bytes(range(256)) * 9,
    "utf-16": listing(entry()).decode().encode("utf-16"),
    "bad utf-8": listing(entry()).replace(b"config.json", b"\xff\xfe.json"),
    "overlong utf-8": listing(entry()).replace(b"config.json", b"\xc0\xae\xc0\xae.json"),
    "deep lists": b"[" * 1_000_000,
    "deep objects": b'{"siblings":' * 200_000,
    "deep and closed": b'{"siblings": ' + b"[" * 90_000 + b"]" * 90_000 + b"}",
    "no siblings": b'{"sha": "aa"}',
    "siblings null": b'{"siblings": null}',
    "siblings text": b'{"siblings": "config.json"}',
    "siblings object": b'{"siblings": {"rfilename": "config.json"}}',
    "entry null": listing(None),
    "entry text": listing("config.json"),
    "entry list": listing(["config.json"]),
    "name missing": listing({"size": 1, "blobId": "0" * 40}),
    "name number": listing(entry(7)),
    "name true": listing(entry(True)),
    "name list": listing(entry(["config.json"])),
    "name null": listing(entry(None)),
    "name surrogate": listing(entry()).replace(b"config.json", rb"\ud800.json"),
    "name half pair": listing(entry()).replace(b"config.json", rb"\udc00\ud800.json"),
    "size text": listing(entry(size="39")),
    "size negative": listing(entry(size=-1)),
    "size fraction": listing(entry(size=39.5)),
    "size true": listing(entry(size=True)),
    "size 10^30": listing(entry(size=10**30)),
    "size infinite": listing(entry()).replace(b": 39", b": Infinity"),
    "size NaN": listing(entry()).replace(b": 39", b": NaN"),
    "size of 5000 digits": listing(entry()).replace(b": 39", b": " + b"9" * 5000),
    "size missing": listing({"rfilename": "config.json", "blobId": "0" * 40}),
    "digest number": listing(entry(blobId=7)),
    "digest short": listing(entry(blobId="abc")),
    "digest no hex": listing(entry(blobId="g" * 40)),
    "digest with a line": listing(entry(blobId="0" * 40 + "\n")),
    "digest missing": listing({"rfilename": "config.json", "size": 1}),
    "lfs list": listing(entry(lfs=[1])),
    "lfs true": listing(entry(lfs=True)),
    "lfs without size": listing(entry(lfs={"sha256": "0" * 64})),
    "lfs digest number": listing(weights(sha256=7)),
    "lfs digest of git": listing(weights(sha256="0" * 40)),
    "lfs size negative": listing(weights(size=-1)),
    "lfs size text": listing(weights(size="7")),
    "commit number": listing(entry(), sha=7),
    "commit path": listing(entry(), sha="../../../etc"),
    "commit long": listing(entry(), sha="a" * 1000),
    "commit with a line": listing(entry(), sha="aa\r\nX: y"),
    "too many files": listing(*[{"rfilename": "a"}] * 100_001),
}
"""What the Hub's list is not."""

NAMES: dict[str, str] = {
    "empty": "",
    "dot": ".",
    "dots": "..",
    "up": "../model.safetensors",
    "up inside": "a/../../model.safetensors",
    "absolute": "/etc/model.safetensors",
    "backslash": "..\\model.safetensors",
    "drive": "C:\\model.safetensors",
    "drive without root": "C:model.safetensors",
    "share": "\\\\host\\share\\model.safetensors",
    "two slashes": "a//model.safetensors",
    "folder": "a/",
    "newline": "mod\nel.safetensors",
    "return": "mod\rel.safetensors",
    "null": "mod\0el.safetensors",
    "escape": "\x1b[31mmodel.safetensors",
    "C1": "\x9b31mmodel.safetensors",
    "delete": "mod\x7fel.safetensors",
    "right to left": "model\u202esnosnetefas.exe",
    "isolate": "\u2066model.safetensors",
    "mark": "\u200fmodel.safetensors",
    "byte order": "\ufeffmodel.safetensors",
    "soft hyphen": "mo\u00addel.safetensors",
    "line separator": "mo\u2028del.safetensors",
    "tag": "model\U000e0041.safetensors",
    "long part": "m" * 250 + ".safetensors",
    "long part of Chinese": "模" * 85 + ".safetensors",
    "long path": "/".join(["abcdefgh"] * 200) + "/model.safetensors",
    "2,000 folders": "a/" * 2000 + "model.safetensors",
    "100,000 folders": "a/" * 100_000 + "model.safetensors",
}
"""Names that no repository has."""

KEPT_NAMES: dict[str, tuple[str, ...]] = {
    "reserved": ("CON.safetensors",),
    "reserved with ending": ("aux.tar.safetensors",),
    "reserved folder": ("nul/m-Q8_0.gguf",),
    "reserved port": ("com1.safetensors",),
    "folder with a dot at the end": ("a./m-Q8_0.gguf",),
    "folder with a blank at the end": ("a /m-Q8_0.gguf",),
    "stream": ("model:x.safetensors",),
    "question mark": ("mod?el.safetensors",),
    "twice": ("model.safetensors", "model.safetensors"),
}
"""Names of weights that not every disk keeps."""

HEADS: dict[str, Raw] = {
    "closed": raw(),
    "closed in the head": raw(b"HTTP/1.1 200 OK\r\nContent-"),
    "no HTTP": raw(b"SSH-2.0-OpenSSH_9.2\r\n" * 3),
    "HTTP 0.9": raw(listing(entry())),
    "TLS": raw(b"\x15\x03\x01\x00\x02\x02\x28" * 9),
    "status of letters": raw(head(status=b"HTTP/1.1 abc OK")),
    "status 999": raw(head(b"Content-Length: 0", status=b"HTTP/1.1 999 What")),
    "header without colon": raw(head(b"Content-Length 5") + b"{}"),
    "header of 200 kB": raw(head(b"X: " + b"y" * 200_000) + b"{}"),
    "endless headers": endless(b"HTTP/1.1 200 OK\r\n", piece=b"X-Header: y\r\n" * 1000),
    "one endless header": endless(b"HTTP/1.1 200 OK\r\nX-Header: "),
    "control character": raw(head(b"X: \x00\x01") + b"{}"),
    "two lengths": raw(head(b"Content-Length: 2", b"Content-Length: 5") + b"{}"),
    "negative length": raw(head(b"Content-Length: -5") + b"{}"),
    "length of letters": raw(head(b"Content-Length: five") + b"{}"),
    "length of 5000 digits": raw(head(b"Content-Length: " + b"9" * 5000) + b"{}"),
    "more promised": raw(head(b"Content-Length: 5000") + b"{}"),
    "unknown transfer": raw(head(b"Transfer-Encoding: gzip") + b"{}"),
    "bad chunk": raw(head(b"Transfer-Encoding: chunked") + b"zz\r\n{}\r\n0\r\n\r\n"),
    "chunk of 5000 digits": raw(head(b"Transfer-Encoding: chunked") + b"f" * 5000 + b"\r\n{}"),
    "endless trailers": endless(
        head(b"Transfer-Encoding: chunked") + b"2\r\n{}\r\n0\r\n", piece=b"X-Trailer: y\r\n" * 1000
    ),
    "unknown packing": answer(b"{}", Content_Encoding="br"),
    "packed twice": answer(gzip.compress(gzip.compress(b"{}")), Content_Encoding="gzip, gzip"),
    "packing of nonsense": answer(b"{}" * 99, Content_Encoding="gzip"),
    "packing header twice": raw(head(b"Content-Encoding: gzip", b"Content-Encoding: gzip") + gzip.compress(b"{}")),
    "bomb": answer(bomb(200_000_000), Content_Encoding="gzip"),
    "packed nothing for ever": endless(
        head(b"Content-Encoding: gzip") + gzip.compress(b"")[:10], piece=b"\x00\x00\x00\xff\xff" * 10_000
    ),
    "endless list": endless(OK + b'{"siblings": [', piece=json.dumps(entry()).encode() * 1000 + b","),
    "endless blanks": endless(OK, piece=b" " * 100_000),
    "endless informational": endless(piece=head(status=b"HTTP/1.1 103 Early Hints") * 1000),
    "upgrade": raw(head(b"Upgrade: websocket", b"Connection: Upgrade", status=b"HTTP/1.1 101 Switching") + b"\x81"),
    "no content": answer(b"", "204 No Content"),
    "not modified": answer(b"", "304 Not Modified"),
    "multiple choices": answer(b"{}", "300 Multiple Choices", Location="/elsewhere"),
    "payment": answer(b"{}", "402 Payment Required"),
    "teapot": answer(b"{}", "418 I'm a teapot"),
    "proxy password": answer(b"{}", "407 Proxy Authentication Required"),
    "failure": answer(b"{}", "500 Internal Server Error"),
    "endless refusal": endless(head(b"X-Error-Code: RepoNotFound", status=b"HTTP/1.1 404 Not Found")),
    "refusal with controls": answer(b"{}", "403 Forbidden", X_Error_Code="\x1b[31m".replace("\x1b", "\x80")),
    "page of a hotel": answer(b"<html>Welcome! Room number?</html>", Content_Type="text/html; charset=utf-8"),
}
"""What no HTTP server of a Hub sends in place of its list."""

LOCATIONS: dict[str, tuple[str, ...]] = {
    "file": ("file:///etc/passwd",),
    "ftp": ("ftp://127.0.0.1/model",),
    "javascript": ("javascript:alert(1)",),
    "data": ("data:application/json,{}",),
    "gopher": ("gopher://127.0.0.1:70/x",),
    "nothing": ("",),
    "none": (),
    "two": ("/a", "/b"),
    "open bracket": ("http://[::1/",),
    "port": ("http://127.0.0.1:99999/",),
    "port of letters": ("http://127.0.0.1:http/",),
    "no host": ("http://",),
    "control": ("http://127.0.0.1/\x01",),
    "long": ("http://127.0.0.1/" + "a" * 70_000,),
    "itself": ("/api/models/org/model?blobs=True",),
}
"""Where no redirect leads."""

RANGES: dict[str, tuple[str, ...]] = {
    "no range": (),
    "another start": ("bytes 5-{last}/{size}",),
    "another end": ("bytes 0-999999999/{size}",),
    "another size": ("bytes 0-{last}/7",),
    "huge": ("bytes 0-" + "9" * 4000 + "/{size}",),
    "negative": ("bytes -5-{last}/{size}",),
    "words": ("everything",),
    "other unit": ("tokens 0-{last}/{size}",),
    "unsatisfied": ("bytes */{size}",),
    "twice": ("bytes 0-{last}/{size}", "bytes 5-{last}/{size}"),
}
"""What a part of a file is said to be, though it is another."""

INDEXES: dict[str, bytes] = {
    "list": b"[]",
    "map of numbers": b'{"weight_map": {"a": 7}}',
    "map list": b'{"weight_map": ["model.safetensors"]}',
    "map text": b'{"weight_map": "model.safetensors"}',
    "nothing": b"{}",
    "cut": b'{"weight_map": {"a": ',
    "deep": b'{"weight_map": ' + b'{"a": ' * 90_000 + b"1" + b"}" * 90_001,
    "outside": b'{"weight_map": {"a": "../../model.safetensors"}}',
    "surrogate": rb'{"weight_map": {"a": "\ud800"}}',
}
"""What the index of a checkpoint in parts is not."""

FOLDERS: dict[str, bytes] = {
    "null": b"null",
    "no data": b'{"Code": 200}',
    "data null": b'{"Data": null}',
    "files text": b'{"Data": {"Files": "x"}}',
    "entry null": b'{"Data": {"Files": [null]}}',
    "path number": b'{"Data": {"Files": [{"Path": 7, "Type": "blob", "Size": 1, "Sha256": ""}]}}',
    "no path": b'{"Data": {"Files": [{"Type": "blob", "Size": 1, "Sha256": ""}]}}',
    "type list": b'{"Data": {"Files": [{"Path": "a", "Type": [], "Size": 1, "Sha256": ""}]}}',
    "size negative": b'{"Data": {"Files": [{"Path": "a", "Type": "blob", "Size": -1, "Sha256": ""}]}}',
    "size text": b'{"Data": {"Files": [{"Path": "a", "Type": "blob", "Size": "1", "Sha256": ""}]}}',
    "digest number": b'{"Data": {"Files": [{"Path": "a", "Type": "blob", "Size": 1, "Sha256": 7}]}}',
    "digest missing": b'{"Data": {"Files": [{"Path": "a", "Type": "blob", "Size": 1}]}}',
    "path outside": b'{"Data": {"Files": [{"Path": "../a", "Type": "tree", "Size": 0}]}}',
    "path of direction": b'{"Data": {"Files": [{"Path": "\\u202ea", "Type": "tree", "Size": 0}]}}',
}
"""What ModelScope's list is not."""
