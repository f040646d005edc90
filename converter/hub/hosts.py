"""Where repositories are published: the Hub of Hugging Face with its mirrors, and ModelScope. Each says what files one holds.

Sources: huggingface-hub; modelscope/modelscope, hub/file_download.py and hub/api.py; modelscope/modelscope_hub, compat/hub_api.py
(the token as a cookie). What ModelScope answers was measured by others: every refusal is a 404 whose JSON says why (10990101004:
no such revision), a list ends after 3000 entries, parts of files come with status 200 (modelscope/modelscope_hub, issue 50).
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Sequence
from typing import Any, Protocol
from urllib.parse import quote, urlencode, urlsplit

import httpx2
from huggingface_hub import HfApi, constants, get_session, hf_hub_url
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, RepositoryNotFoundError, RevisionNotFoundError
from huggingface_hub.utils import build_hf_headers, hf_raise_for_status  # type: ignore[attr-defined]  # public by documentation

from converter.hub.address import MODELSCOPE, MODELSCOPE_PREFIX, is_modelscope, origin, usual_endpoint
from converter.hub.selection import RemoteFile
from models.errors import ZhiyinError

_SECONDS = 30.0
_DIGEST = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_NO_REVISION = 10990101004


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
    """The person's, or False."""
    folder: str
    """Name for the folder of its files."""

    def headers(self) -> dict[str, str]:
        """Return what every request carries."""

    def listing(self) -> tuple[str, list[RemoteFile]]:
        """Return what stands for this state of the repository, and all its files.

        Raises:
            ZhiyinError: this is no answer of such a host.
            HfHubHTTPError: it refuses.
            httpx2.TransportError: it cannot be reached.
        """

    def url(self, commit: str, file: RemoteFile) -> str:
        """Return the address of a file, given what `listing` returned."""


def find_host(repository: str, revision: str, endpoint: str, token: str | bool) -> Host:
    """Return where a repository is.

    Args:
        repository: ORG/NAME, with "modelscope:" in front where it is there.
        revision: a branch, tag or commit; "": the main branch.
        endpoint: address of the Hub, a mirror or ModelScope; "": as the name says, or else HF_ENDPOINT, or huggingface.co.
        token: the person's token for this endpoint; True: the one that the environment or huggingface-hub keeps for it;
            False: none.

    Raises:
        ZhiyinError: the endpoint is no address.
    """
    named = repository.startswith(MODELSCOPE_PREFIX)
    endpoint = (endpoint or (MODELSCOPE if named else usual_endpoint())).rstrip("/")
    if not origin(endpoint):
        raise ZhiyinError("{endpoint!r} is no address of a Hub; write it as https://HOST.", endpoint=endpoint[:80])
    url = urlsplit(endpoint)
    if url.scheme != "https" and url.hostname not in ("localhost", "127.0.0.1", "::1"):
        token = False
    if named or is_modelscope(url.hostname):
        return _ModelScope(repository.removeprefix(MODELSCOPE_PREFIX), revision, endpoint, token)
    return _HuggingFace(repository, revision, endpoint, token)


class _HuggingFace:
    def __init__(self, name: str, revision: str, endpoint: str, token: str | bool) -> None:
        self.endpoint = endpoint
        self.page = f"{endpoint}/{name}"
        self.tokens = f"{endpoint}/settings/tokens"
        official = f".{urlsplit(endpoint).hostname}".endswith(".huggingface.co")
        of_environment, self.variable = _token_of_environment("HF_TOKEN", endpoint, official=official)
        self.token = of_environment or _kept_token(official=official) if token is True else token
        self.folder = _folder_name(name, revision if revision != constants.DEFAULT_REVISION else "")
        self._name, self._revision = name, revision

    def headers(self) -> dict[str, str]:
        return build_hf_headers(token=self.token)

    def listing(self) -> tuple[str, list[RemoteFile]]:
        try:
            info = HfApi(self.endpoint, token=self.token).model_info(
                self._name, revision=self._revision or None, files_metadata=True, timeout=_SECONDS
            )
        except (HFValidationError, httpx2.HTTPError):
            raise
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise _no_hub(self.endpoint) from error
        files = []
        for entry in info.siblings or []:
            digest = entry.lfs.sha256 if entry.lfs is not None else entry.blob_id
            size = entry.lfs.size if entry.lfs is not None else entry.size
            files.append(_checked_file(self.endpoint, entry.rfilename, size, digest))
        return info.sha or constants.DEFAULT_REVISION, files

    def url(self, commit: str, file: RemoteFile) -> str:
        return hf_hub_url(self._name, file.name, revision=commit, endpoint=self.endpoint)


class _ModelScope:
    def __init__(self, name: str, revision: str, endpoint: str, token: str | bool) -> None:
        self.endpoint = endpoint
        self.page = f"{endpoint}/models/{name}"
        self.tokens = f"{endpoint}/my/myaccesstoken"
        official = is_modelscope(urlsplit(endpoint).hostname)
        of_environment, self.variable = _token_of_environment("MODELSCOPE_API_TOKEN", endpoint, official=official)
        self.token = of_environment if token is True else token
        # Of its own: what has the same name on Hugging Face may be another model.
        self.folder = f"modelscope--{_folder_name(name, revision if revision != _MASTER else '')}"
        self._name, self._revision = name, revision or _MASTER

    def headers(self) -> dict[str, str]:
        own = {"User-Agent": "zhiyin"}  # without any, it refuses
        return own | {"Cookie": f"m_session_id={self.token}"} if self.token else own

    def listing(self) -> tuple[str, list[RemoteFile]]:
        try:
            files = [
                _checked_file(self.endpoint, str(entry["Path"]), entry["Size"], str(entry["Sha256"]).lower())
                for entry in self._entries("")
            ]
        except (ValueError, KeyError, TypeError) as error:
            raise _no_hub(self.endpoint) from error
        return _state_of(files), files

    def _entries(self, folder: str) -> list[Any]:
        """Return the files in a folder and below; one with more than an answer holds is asked for folder by folder."""
        found = self._answer(folder, recursive=True)
        if len(found) >= _MOST_LISTED:
            found = self._answer(folder, recursive=False)
            if len(found) >= _MOST_LISTED:
                where = "/".join(part for part in (self._name, folder) if part)
                raise ZhiyinError(
                    "{endpoint} lists the first {count} files of a folder only, and {folder} has more; choose "
                    "another --endpoint.",
                    endpoint=self.endpoint,
                    count=_MOST_LISTED,
                    folder=where,
                )
            below = [str(entry["Path"]) for entry in found if entry["Type"] == "tree"]
            found += [entry for name in below for entry in self._entries(name)]
        return [entry for entry in found if entry["Type"] != "tree"]

    def _answer(self, folder: str, *, recursive: bool) -> list[Any]:
        """Return what one answer lists of a folder, folders included."""
        query = {"Revision": self._revision, "Recursive": str(recursive).lower()} | ({"Root": folder} if folder else {})
        response = get_session().get(
            self._api("repo/files", query), headers=self.headers(), timeout=_SECONDS, follow_redirects=True
        )
        if response.status_code == httpx2.codes.NOT_FOUND:
            raise self._refusal(response)
        hf_raise_for_status(response)
        return list(response.json()["Data"]["Files"])

    def url(self, commit: str, file: RemoteFile) -> str:
        return self._api("repo", {"Revision": self._revision, "FilePath": file.name})

    def _api(self, what: str, query: dict[str, str]) -> str:
        return f"{self.endpoint}/api/v1/models/{quote(self._name)}/{what}?{urlencode(query)}"

    def _refusal(self, response: httpx2.Response) -> HfHubHTTPError:
        try:
            code = response.json().get("Code")
        except (ValueError, AttributeError):
            code = None
        kind = RevisionNotFoundError if code == _NO_REVISION else RepositoryNotFoundError
        return kind("ModelScope has no such model or revision", response=response)


_MASTER = "master"
_MOST_LISTED = 3000
"""Entries of one answer of ModelScope, which ends there without a word."""


def _token_of_environment(variable: str, endpoint: str, *, official: bool) -> tuple[str | bool, str]:
    """Return the token that the environment has for an endpoint, or False, and what to set to give one.

    It was given for the publisher's own address and, as huggingface-hub has it, for `HF_ENDPOINT`; nobody else gets it.
    """
    if official or origin(endpoint) == origin(usual_endpoint()):
        return os.environ.get(variable, "").strip() or False, variable
    return False, f"HF_ENDPOINT to {endpoint} and {variable}"


def _kept_token(*, official: bool) -> str | bool:
    """Return the token that huggingface-hub keeps of a login, or False: it is for huggingface.co alone."""
    return (build_hf_headers().get("authorization", "").removeprefix("Bearer ") if official else "") or False


def _folder_name(name: str, revision: str) -> str:
    suffix = f"--{re.sub(r'[^0-9A-Za-z_.-]', '-', revision)}" if revision else ""
    return f"{name.replace('/', '--')}{suffix}"


def _checked_file(endpoint: str, name: str, size: Any, digest: str | None) -> RemoteFile:
    if not isinstance(size, int) or not _DIGEST.fullmatch(digest or ""):
        raise ZhiyinError(
            "{endpoint} does not tell the size and checksum of {name}; choose another --endpoint.",
            endpoint=endpoint,
            name=name[:80],
        )
    return RemoteFile(name, size, str(digest))


def _state_of(files: Sequence[RemoteFile]) -> str:
    """Return what changes whenever a file does, in place of the commit, which ModelScope's list does not name."""
    lines = "".join(sorted(f"{file.name} {file.digest}\n" for file in files))
    return hashlib.sha1(lines.encode(), usedforsecurity=False).hexdigest()


def _no_hub(endpoint: str) -> ZhiyinError:
    return ZhiyinError("{endpoint} does not answer as a Hub does; choose another --endpoint.", endpoint=endpoint)
