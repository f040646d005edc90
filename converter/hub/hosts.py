"""Hosts of repositories: the Hub of Hugging Face with its mirrors, and ModelScope. Each says what files one holds.

Sources: huggingface-hub; modelscope/modelscope, hub/file_download.py and hub/api.py; modelscope/modelscope_hub, compat/hub_api.py
(the token as a cookie). What ModelScope answers was measured by others: every refusal is a 404 whose JSON says why (10990101004:
no such revision), a list ends after 3000 entries, parts of files come with status 200 (modelscope/modelscope_hub, issue 50).
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Protocol, TypeVar
from urllib.parse import quote, urlencode, urlsplit

import httpx2
import msgspec

from converter.hub.address import MODELSCOPE, MODELSCOPE_PREFIX, is_modelscope, is_web_address, origin, usual_endpoint
from converter.hub.connection import Answer, Connection
from converter.hub.loose import count, licence_in, mapping, text, texts
from converter.hub.names import MOST_FOLDERS, check_names
from converter.hub.network_errors import ELSEWHERE, BadAnswer, Refused, refused
from converter.hub.network_settings import BadSetting, checked_token, login_token
from converter.hub.selection import RemoteFile
from models.errors import ZhiyinError

_MOST_FILES = 100_000
"""Of a repository, by the Hub's own recommendation."""
_MOST_ANSWERS = 1000
"""To one list that is asked for by folders."""
_LISTING_BYTES = 48 * 1024 * 1024
"""Of one answer; an entry takes some three hundred."""
_REASON_BYTES = 64 * 1024
_ABOUT_BYTES = 8 * 1024 * 1024
_PACKED = {"Accept-Encoding": "gzip"}
_DIGEST = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_COMMIT = r"^[0-9A-Za-z._-]{1,100}$"
_NO_REVISION = 10990101004
_MAIN = "main"
_LONGEST_REVISION = 100
"""Characters that a folder's name takes over."""
T = TypeVar("T")
Size = Annotated[int, msgspec.Meta(ge=0, le=1 << 60)]


class _LargeFile(msgspec.Struct):
    sha256: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
    size: Size


class _Sibling(msgspec.Struct):
    rfilename: str
    size: Size | None = None
    blob_id: str | None = msgspec.field(name="blobId", default=None)
    lfs: _LargeFile | None = None


class _ModelInfo(msgspec.Struct):
    """The answer of `/api/models/ORG/NAME?blobs=True`, as far as it is used."""

    siblings: Annotated[list[_Sibling], msgspec.Meta(max_length=_MOST_FILES)]
    sha: Annotated[str, msgspec.Meta(pattern=_COMMIT)] | None = None


class _Entry(msgspec.Struct):
    path: str = msgspec.field(name="Path")
    type: str = msgspec.field(name="Type")
    size: Size = msgspec.field(name="Size")
    sha256: str | None = msgspec.field(name="Sha256", default=None)


class _Entries(msgspec.Struct):
    files: list[_Entry] | None = msgspec.field(name="Files")


class _Folder(msgspec.Struct):
    """The answer of ModelScope's `repo/files`."""

    data: _Entries = msgspec.field(name="Data")


class _Reason(msgspec.Struct):
    code: int | None = msgspec.field(name="Code", default=None)


@dataclass(frozen=True)
class About:
    """A host's facts of a repository."""

    licence: str = ""
    downloads: int = 0
    gated: bool = False
    """Its publisher lets in who accepted the licence."""


class Host(Protocol):
    """One repository where it is published."""

    endpoint: str
    page: str
    """Address of the repository's page."""
    tokens: str
    """Address of the page that makes tokens."""
    variable: str
    """The environment variable for one, with what else it takes to be sent there: "set {variable} to it"."""
    token: str | bool
    """The user's, or False."""
    folder: str
    """Name for the folder of its files."""

    connection: Connection
    """For every request."""

    def listing(self) -> tuple[str, list[RemoteFile]]:
        """Return what stands for this state of the repository, and all its files.

        Raises:
            BadAnswer: this is no answer of such a host.
            Refused: it says no.
            Unreachable: it cannot be reached.
            BadSetting: a setting of this computer is in the way.
        """

    def about(self) -> About:
        """Return what the host says of the repository besides its files; raises as `listing`."""

    def url(self, commit: str, file: RemoteFile) -> str:
        """Return the address of a file, given what `listing` returned."""


KeptToken = Callable[[str], str]


def find_host(
    repository: str, revision: str, endpoint: str, token: str | bool, kept_token: KeptToken | None = None
) -> Host:
    """Return where a repository is.

    Args:
        repository: ORG/NAME, with "modelscope:" in front where it is there.
        revision: a branch, tag or commit; "": the main branch.
        endpoint: address of the Hub, a mirror or ModelScope; "": as the name says, or else HF_ENDPOINT, or huggingface.co.
        token: the user's token for this endpoint; True: the one that the environment or huggingface-hub keeps for it;
            False: none.
        kept_token: as in `DownloadRequest`.

    Raises:
        ZhiyinError: the endpoint is no address.
    """
    named = repository.startswith(MODELSCOPE_PREFIX)
    endpoint = checked_endpoint(endpoint) or (MODELSCOPE if named else checked_usual_endpoint())
    url = urlsplit(endpoint)
    if url.scheme != "https" and url.hostname not in ("localhost", "127.0.0.1", "::1"):
        token = False
    entered = kept_token or _none_entered
    if named or is_modelscope(url.hostname):
        return _ModelScope(repository.removeprefix(MODELSCOPE_PREFIX), revision, endpoint, token, entered)
    return _HuggingFace(repository, revision, endpoint, token, entered)


def checked_endpoint(endpoint: str) -> str:
    """Return an address that somebody entered; raises `BadSetting` where it is none."""
    address = endpoint.strip().rstrip("/")
    if address and not _is_endpoint(address):
        raise BadSetting(
            "{endpoint!r} is no address of a Hub; write it as https://HOST.", code="endpoint", endpoint=_shown(endpoint)
        )
    return address


def checked_usual_endpoint() -> str:
    """Return `HF_ENDPOINT`, or huggingface.co; raises `BadSetting` where the variable holds no address."""
    address = usual_endpoint()
    if not _is_endpoint(address):
        raise BadSetting(
            "HF_ENDPOINT is {endpoint!r}, which is no address of a Hub; write it as https://HOST, or unset it.",
            code="endpoint",
            endpoint=_shown(address),
        )
    return address


def _is_endpoint(address: str) -> bool:
    return is_web_address(address) and not any(mark in address for mark in "@?#")


def _shown(endpoint: str) -> str:
    """Return an endpoint without a password that it may hold."""
    return endpoint.rpartition("@")[2][:80]


class _HuggingFace:
    def __init__(self, name: str, revision: str, endpoint: str, token: str | bool, entered: KeptToken) -> None:
        self.endpoint = endpoint
        self.page = f"{endpoint}/{name}"
        self.tokens = f"{endpoint}/settings/tokens"
        official = f".{urlsplit(endpoint).hostname}".endswith(".huggingface.co")
        of_environment, self.variable = _token_of_environment("HF_TOKEN", self.tokens, endpoint, official=official)
        given = checked_token(token, "", self.tokens) if isinstance(token, str) and token else False
        kept = login_token(self.tokens) if token is True and not of_environment and official else ""
        own = of_environment or kept or _entered(entered, endpoint, self.tokens)
        self.token = own if token is True else given
        self.folder = _folder_name(name, revision if revision != _MAIN else "")
        credentials = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        self.connection = Connection(endpoint, OURSELVES, credentials)
        self._name, self._revision = name, revision

    def about(self) -> About:
        answer = self.connection.read(f"{self.endpoint}/api/models/{quote(self._name)}", _ABOUT_BYTES, _PACKED)
        answer_data = _decoded(self.endpoint, answer, dict[str, Any])
        licence = licence_in(mapping(answer_data.get("cardData")), texts(answer_data.get("tags")))
        return About(licence, count(answer_data.get("downloads")), answer_data.get("gated") not in (None, False))

    def listing(self) -> tuple[str, list[RemoteFile]]:
        revision = f"/revision/{quote(self._revision, safe='')}" if self._revision else ""
        url = f"{self.endpoint}/api/models/{quote(self._name)}{revision}?blobs=True"
        answer = self.connection.read(url, _LISTING_BYTES, _PACKED)
        info = _decoded(self.endpoint, answer, _ModelInfo)
        check_names(self._name, (entry.rfilename for entry in info.siblings))
        files = []
        for entry in info.siblings:
            large = entry.lfs
            digest, size = (large.sha256, large.size) if large is not None else (entry.blob_id, entry.size)
            files.append(_checked_file(self.endpoint, entry.rfilename, size, digest))
        return info.sha or _MAIN, _all_different(self.endpoint, files)

    def url(self, commit: str, file: RemoteFile) -> str:
        return f"{self.endpoint}/{quote(self._name)}/resolve/{quote(commit, safe='')}/{quote(file.name)}"


class _ModelScope:
    def __init__(self, name: str, revision: str, endpoint: str, token: str | bool, entered: KeptToken) -> None:
        self.endpoint = endpoint
        self.page = f"{endpoint}/models/{name}"
        self.tokens = f"{endpoint}/my/myaccesstoken"
        official = is_modelscope(urlsplit(endpoint).hostname)
        of_environment, self.variable = _token_of_environment(
            "MODELSCOPE_API_TOKEN", self.tokens, endpoint, official=official
        )
        given = checked_token(token, "", self.tokens) if isinstance(token, str) and token else False
        own = of_environment or _entered(entered, endpoint, self.tokens)
        self.token = own if token is True else given
        # Of its own: what has the same name on Hugging Face may be another model.
        self.folder = f"modelscope--{_folder_name(name, revision if revision != _MASTER else '')}"
        credentials = {"Cookie": f"m_session_id={self.token}"} if self.token else {}
        self.connection = Connection(endpoint, OURSELVES, credentials)
        self._name, self._revision = name, revision or _MASTER
        self._listed = 0

    def about(self) -> About:
        answer = self.connection.read(f"{self.endpoint}/openapi/v1/models/{quote(self._name)}", _ABOUT_BYTES, _PACKED)
        about = mapping(_decoded(self.endpoint, answer, dict[str, Any]).get("data"))
        return About(text(about.get("license")), count(about.get("downloads")), about.get("gated") not in (None, False))

    def listing(self) -> tuple[str, list[RemoteFile]]:
        self._listed = 0
        entries = self._entries("")
        check_names(self._name, (entry.path for entry in entries))
        files = [
            _checked_file(self.endpoint, entry.path, entry.size, (entry.sha256 or "").lower()) for entry in entries
        ]
        return _state_of(files), _all_different(self.endpoint, files)

    def _entries(self, folder: str) -> list[_Entry]:
        """Return the files in a folder and below; one with more than an answer holds is asked for folder by folder."""
        entries = self._answer(folder, recursive=True)
        if len(entries) >= _MOST_LISTED:
            entries = self._answer(folder, recursive=False)
            if len(entries) >= _MOST_LISTED:
                where = "/".join(part for part in (self._name, folder) if part)
                raise ZhiyinError(
                    "{endpoint} lists the first {count} files of a folder only, and {folder} has more; choose "
                    "another --endpoint.",
                    endpoint=self.endpoint,
                    count=_MOST_LISTED,
                    folder=where,
                )
            below = [entry.path for entry in entries if entry.type == "tree"]
            if folder.count("/") > MOST_FOLDERS or not all(name.startswith(f"{folder}/") for name in below if folder):
                raise _no_hub(self.endpoint)
            entries += [entry for name in below for entry in self._entries(name)]
        return [entry for entry in entries if entry.type != "tree"]

    def _answer(self, folder: str, *, recursive: bool) -> list[_Entry]:
        """Return what one answer lists of a folder, folders included."""
        query = {"Revision": self._revision, "Recursive": str(recursive).lower()} | ({"Root": folder} if folder else {})
        url = self._api("repo/files", query)
        answer = self.connection.read(url, _LISTING_BYTES, _PACKED, also=(httpx2.codes.NOT_FOUND,))
        if answer.status == httpx2.codes.NOT_FOUND:
            raise self._refusal(answer)
        files = _decoded(self.endpoint, answer, _Folder).data.files or []
        check_names(self._name, (entry.path for entry in files))
        self._listed += len(files) + _MOST_FILES // _MOST_ANSWERS
        if self._listed > _MOST_FILES:
            raise _no_hub(self.endpoint)
        return files

    def url(self, commit: str, file: RemoteFile) -> str:
        return self._api("repo", {"Revision": self._revision, "FilePath": file.name})

    def _api(self, what: str, query: dict[str, str]) -> str:
        return f"{self.endpoint}/api/v1/models/{quote(self._name)}/{what}?{urlencode(query)}"

    def _refusal(self, answer: Answer) -> Refused:
        """Return why ModelScope refuses: it says so in the answer, always with the same status."""
        try:
            code = msgspec.json.decode(answer.data[:_REASON_BYTES], type=_Reason).code
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            code = None
        kind = "RevisionNotFound" if code == _NO_REVISION else "RepoNotFound"
        return refused(urlsplit(self.endpoint).hostname or "", answer.status, kind)


OURSELVES = {"User-Agent": "zhiyin"}
"""ModelScope refuses requests without any."""
_MASTER = "master"
_MOST_LISTED = 3000
"""Entries of one answer of ModelScope, which ends there without a word."""


def _token_of_environment(variable: str, page: str, endpoint: str, *, official: bool) -> tuple[str | bool, str]:
    """Return the token that the environment has for an endpoint, or False, and what to set to give one.

    It was given for the publisher's own address and, as huggingface-hub has it, for `HF_ENDPOINT`; nobody else gets it.
    """
    if official or origin(endpoint) == origin(usual_endpoint()):
        token = os.environ.get(variable, "").strip()
        return (checked_token(token, variable, page) if token else False), variable
    return False, f"HF_ENDPOINT to {endpoint} and {variable}"


def _none_entered(endpoint: str) -> str:
    return ""


def _entered(kept_token: KeptToken, endpoint: str, page: str) -> str | bool:
    """Return the token that the user entered for an endpoint, or False."""
    token = kept_token(endpoint)
    return checked_token(token, "", page) if token else False


def _folder_name(name: str, revision: str) -> str:
    if len(revision) > _LONGEST_REVISION:
        revision = hashlib.sha256(revision.encode()).hexdigest()
    suffix = f"--{re.sub(r'[^0-9A-Za-z_.-]', '-', revision)}" if revision else ""
    return f"{name.replace('/', '--')}{suffix}"


def _decoded(endpoint: str, answer: Answer, kind: type[T]) -> T:
    """Return what an answer says; it is not read as loosely as a file is, since hosts write plain JSON."""
    try:
        return msgspec.json.decode(answer.data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        if answer.header("Content-Type").partition(";")[0].strip().lower() == "text/html":
            raise BadAnswer(
                "{endpoint} answers with a page for people instead of a list of files; open it in a browser, as the network "
                "may want a login, or {elsewhere}.",
                endpoint=endpoint,
                elsewhere=ELSEWHERE,
            ) from error
        raise _no_hub(endpoint) from error


def _checked_file(endpoint: str, name: str, size: int | None, digest: str | None) -> RemoteFile:
    if size is None or not _DIGEST.fullmatch(digest or ""):
        raise BadAnswer(
            "{endpoint} does not tell the size and checksum of {name}; choose another --endpoint.",
            endpoint=endpoint,
            name=name[:80],
        )
    return RemoteFile(name, size, str(digest))


def _all_different(endpoint: str, files: list[RemoteFile]) -> list[RemoteFile]:
    if len({file.name for file in files}) < len(files):
        raise _no_hub(endpoint)
    return files


def _state_of(files: Sequence[RemoteFile]) -> str:
    """Return what changes whenever a file does, in place of the commit, which ModelScope's list does not name."""
    lines = "".join(sorted(f"{file.name} {file.digest}\n" for file in files))
    return hashlib.sha1(lines.encode(), usedforsecurity=False).hexdigest()


def _no_hub(endpoint: str) -> BadAnswer:
    return BadAnswer("{endpoint} does not answer as a Hub does; choose another --endpoint.", endpoint=endpoint)
