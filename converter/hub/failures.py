"""Why a host does not give a repository, in one sentence with what to do: accept a licence, make a token, choose another host."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from converter.hub.hosts import Host
from converter.hub.network_errors import DISABLED, ELSEWHERE, Offline, Refused
from converter.hub.permission import SWITCH
from models.errors import ZhiyinError
from models.sentence import Sentence
from models.system_errors import cannot_write


@contextmanager
def explained(name: str, revision: str, folder: Path, host: Host) -> Iterator[None]:
    """Say what a refusal or the system means for a repository; close the connections at the end."""
    try:
        yield
    except Refused as error:
        raise _refusal(name, revision, host, error) from error
    except Offline as error:
        if error.values["setting"] == SWITCH:
            raise ZhiyinError(
                "{name} is not here whole, and Zhiyin is switched to offline; `zhiyin network asked`, or Settings, ends that.",
                code=error.code,
                name=name,
            ) from error
        raise ZhiyinError(
            "{name} is not here whole, and {setting} forbids fetching it; unset it.",
            code=error.code,
            name=name,
            setting=error.values["setting"],
        ) from error
    except OSError as error:
        raise cannot_write(folder, error) from error
    finally:
        host.connection.close()


def _refusal(name: str, revision: str, host: Host, error: Refused) -> ZhiyinError:
    """Say why a host refuses, and what to do."""
    kind = error.values["kind"]
    if kind == "GatedRepo":
        return _gated(name, host)
    if kind == "RepoNotFound":
        return _no_repository(name, host)
    if kind == DISABLED:
        return ZhiyinError(
            "{name} was disabled by the Hub; choose another repository.", code=Refused.default_code, name=name
        )
    if kind == "RevisionNotFound":
        return ZhiyinError(
            "{name} has no revision {revision!r}; {page} lists its branches and tags.",
            code=Refused.default_code,
            name=name,
            revision=revision,
            page=host.page,
        )
    return _by_status(name, host, error.values["status"])


def _gated(name: str, host: Host) -> ZhiyinError:
    if host.token:
        return ZhiyinError(
            "{name} is gated: your token's account has no access yet, so accept its licence at {page}, then try again.",
            code="gated",
            name=name,
            page=host.page,
        )
    return ZhiyinError(
        "{name} is gated: accept its licence at {page}, {get_token}, then try again.",
        code="gated",
        name=name,
        page=host.page,
        get_token=_get_token(host),
    )


def _no_repository(name: str, host: Host) -> ZhiyinError:
    if host.token:
        return ZhiyinError(
            "There is no repository {name} at {endpoint} for you; check the name, or if it is private, take the token of an "
            "account that may see it.",
            code=Refused.default_code,
            name=name,
            endpoint=host.endpoint,
        )
    return ZhiyinError(
        "There is no repository {name} at {endpoint} for you; check the name, or if it is private, {get_token}.",
        code=Refused.default_code,
        name=name,
        endpoint=host.endpoint,
        get_token=_get_token(host),
    )


def _by_status(name: str, host: Host, status: int) -> ZhiyinError:
    endpoint = host.endpoint
    if status == 401:
        return ZhiyinError(
            "{endpoint} refuses the token ({status}) for {name}; {get_token}.",
            code=Refused.default_code,
            endpoint=endpoint,
            status=status,
            name=name,
            get_token=_get_token(host),
        )
    if status == 403:
        return ZhiyinError(
            "{endpoint} forbids access to {name} ({status}); look at {page}, and {get_token}.",
            code=Refused.default_code,
            endpoint=endpoint,
            name=name,
            status=status,
            page=host.page,
            get_token=_get_token(host),
        )
    if status == 404:
        return ZhiyinError(
            "{endpoint} says that {name} or one of its files is not there; choose another --revision or --endpoint.",
            code=Refused.default_code,
            endpoint=endpoint,
            name=name,
        )
    return ZhiyinError(
        "{endpoint} does not give {name} ({status}); {elsewhere}.",
        code=Refused.default_code,
        endpoint=endpoint,
        name=name,
        status=status,
        elsewhere=ELSEWHERE,
    )


def _get_token(host: Host) -> Sentence:
    return Sentence("make a token at {page} and set {variable} to it", page=host.tokens, variable=host.variable)
