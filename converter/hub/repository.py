"""Models from the Hugging Face Hub, a mirror or ModelScope: only the needed files, resumed, checked, kept for the next time.

A repository's files are kept in a folder of `<downloads>` (`Host.folder`) with a manifest of what they are (`.hub.json`): the
commit, and each file's digest. A file that it calls verified is neither fetched nor read again, and without a network the
manifest counts as the Hub's own list.
"""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import msgspec

from converter.checkpoint.shards import Shards
from converter.hub.address import MODELSCOPE_PREFIX, is_modelscope, origin
from converter.hub.arriving import Arrival, can_arrive, held_at_once, read_journal
from converter.hub.arriving_files import arriving_file
from converter.hub.cleanup import delete_files, forget_files
from converter.hub.competing import competing_set
from converter.hub.failures import explained
from converter.hub.hosts import Host, find_host
from converter.hub.manifest import (
    LOCK,
    alone,
    conversions_by_source,
    earlier_conversion,
    read_manifest,
    verified_files,
    write_manifest,
)
from converter.hub.names import REPOSITORY, check_kept_names, check_names
from converter.hub.network_errors import BadAnswer, Refused, Unreachable
from converter.hub.network_settings import BadSetting
from converter.hub.remote_headers import read_headers
from converter.hub.remote_weights import as_stored, of_one_format, refuse_quantized_weights
from converter.hub.request import Description, Download, DownloadRequest, Outline, Preview
from converter.hub.selection import (
    USUAL_QUANTS,
    FileSelection,
    RemoteFile,
    RemoteHeaders,
    SeveralModels,
    choose,
    gguf_models,
    is_model_file,
    listed_weights,
    size_of,
    two_sets,
    weights_bytes,
)
from converter.hub.transfer import Interrupted, digest_of, fetch, partial_path, read_part, read_small
from converter.progress import STALLED_SECONDS, Meter, Progress, ProgressListener, Retry
from models.config import Config
from models.errors import BadFile, Cancelled, ZhiyinError
from models.families import understood
from models.sentence import Sentence
from models.untrusted_json import InvalidJSON, decode, read_bytes

T = TypeVar("T")


class _Index(msgspec.Struct):
    """Which file of weights has which tensor."""

    weight_map: dict[str, str] = {}


class _TokenizerConfig(msgspec.Struct):
    """The keys of tokenizer_config.json that a preview uses."""

    chat_template: Any = None


_SPARE = 64 * 1024 * 1024
"""Bytes of the disk that stay free."""
_PAUSE = 0.5
"""Seconds; a host that is waited for is looked at more often."""
_NOT_ALLOWED = (401, 403)
_CARD = "readme.md"
_LEAD = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)
"""Facts for machines in front of a card."""
_MOST_CARD = 1024 * 1024
_MOST_CONFIG = 4 * 1024 * 1024
_MOST_INDEX = 32 * 1024 * 1024
"""Bytes of what is read into memory: the largest published are a fifth of that."""


def outline(request: DownloadRequest) -> Outline:
    """Look at a repository's config.json, or at the headers of its GGUF files; nothing is kept.

    Raises:
        ZhiyinError: one sentence.
    """
    repository = _Repository(request)
    with repository.explained():
        return repository.outline()


def preview(request: DownloadRequest) -> Preview:
    """Look at a repository: its list of files, its config.json, its index and the headers of its files; nothing is kept.

    Raises:
        ZhiyinError: one sentence; also where the headers say that another program quantized its weights.
    """
    repository = _Repository(request)
    with repository.explained():
        return repository.preview()


def describe(request: DownloadRequest) -> Description:
    """Return what a person wants to read of a repository before anything is fetched; nothing is kept.

    Raises:
        ZhiyinError: one sentence.
    """
    repository = _Repository(request)
    with repository.explained():
        return repository.describe()


def gguf_sizes(request: DownloadRequest) -> Mapping[str, int]:
    """Return the bytes of each GGUF model of a repository by its quantization; nothing is kept.

    Raises:
        ZhiyinError: one sentence.
    """
    repository = _Repository(request)
    with repository.explained():
        _, files = repository.host.listing()
        return {quant: size_of(parts) for quant, parts in gguf_models(files).items()}


def is_repository(text: str) -> bool:
    """Tell whether a text names a repository: [modelscope:]ORG/NAME or ORG/NAME/FILE, where ORG is no folder here.

    A path with a slip in it must not be asked for on the network.
    """
    parts = text.removeprefix(MODELSCOPE_PREFIX).split("/")
    return len(parts) >= 2 and bool(REPOSITORY.fullmatch("/".join(parts[:2]))) and not Path(parts[0]).exists()


def download(
    request: DownloadRequest,
    on_progress: ProgressListener | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Download:
    """Fetch what is needed of a repository; what is here already is not fetched again.

    Args:
        request: what to fetch.
        on_progress: hears of progress about ten times a second, on this thread.
        cancelled: asked all the time; True ends the work. What came is kept, and the next call goes on from there.

    Raises:
        ZhiyinError: one sentence.
    """
    waiting = Waiting(on_progress, cancelled)
    repository = _Repository(replace(request, on_wait=waiting))
    with closing(repository), repository.explained(), repository.locked():
        return repository.download(on_progress, waiting.check)


@contextmanager
def arriving(
    request: DownloadRequest,
    on_progress: ProgressListener | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Iterator[Arrival]:
    """Lend a checkpoint in several files of weights, each of which is fetched when it is asked for; the small ones are here.

    Args:
        request: what to fetch.
        on_progress: as in `download`.
        cancelled: as in `download`.

    Raises:
        ZhiyinError: one sentence; also where its files cannot be converted one by one (`can_arrive`).
    """
    waiting = Waiting(on_progress, cancelled)
    repository = _Repository(replace(request, on_wait=waiting))
    with closing(repository), repository.explained(), repository.locked():
        arrival = repository.arrival(on_progress, waiting.check)
        with closing(arrival.checkpoint):
            yield arrival


ROOM_FOR_PARTS = "room-for-parts"
"""The code of `TooLittleRoom` where the files of weights can be converted one by one (`arriving`)."""


class TooLittleRoom(BadFile):
    """The disk has no room for a download and what is to be made of it."""

    default_code = "too-little-room"


class Waiting:
    """Called while a host is waited for: hears whether to stop, and says when it has been silent for a while."""

    def __init__(self, on_progress: ProgressListener | None, cancelled: Callable[[], bool] | None) -> None:
        """See `download`."""
        self._on_progress = on_progress
        self._cancelled = cancelled
        self._begin = self._last = 0.0
        self._retry: Retry | None = None

    def again(self, reason: Sentence, seconds: float) -> None:
        """Hear that the host is busy and is asked again."""
        self._retry = Retry(reason, time.time() + seconds)

    def check(self) -> None:
        """End the work where it is to end.

        Raises:
            Cancelled: it is.
        """
        if self._cancelled is not None and self._cancelled():
            raise Cancelled("The download was stopped; what came is kept, and the same command goes on from there.")

    def __call__(self) -> None:
        """Hear that nothing came for a moment."""
        self.check()
        now = time.monotonic()
        if now - self._last > _PAUSE:
            self._begin = now  # something came in between
        self._last = now
        if self._retry is not None and time.time() > self._retry.at:
            self._retry = None
        if self._on_progress is not None and (self._retry is not None or now - self._begin >= STALLED_SECONDS):
            self._on_progress(Progress(0, 0, 0, 0, "", 0, None, "downloading", stalled=True, retry=self._retry))


class _Repository:
    """One repository, at one revision, and its folder here."""

    def __init__(self, request: DownloadRequest) -> None:
        given = request.repository.strip("/").removeprefix(MODELSCOPE_PREFIX)
        self.name = "/".join(given.split("/")[:2])
        self.file = given[len(self.name) + 1 :]
        if not REPOSITORY.fullmatch(self.name):
            raise ZhiyinError("{text!r} is not a repository; write it as ORG/NAME.", text=request.repository[:80])
        if not request.revision.isprintable():
            raise ZhiyinError("{name} has no revision {revision!r}.", name=self.name, revision=request.revision[:80])
        self.request = request
        prefix = MODELSCOPE_PREFIX if request.repository.startswith(MODELSCOPE_PREFIX) else ""
        self.host = find_host(prefix + self.name, request.revision, request.endpoint, request.token, request.kept_token)
        self.folder = request.downloads / self.host.folder
        self._sources = [self.host, *self._mirrors()]
        """Where files come from, the one that gave the last file first."""
        if request.on_wait is not None:
            again = request.on_wait.again if isinstance(request.on_wait, Waiting) else None
            self.host.connection.on_wait(request.on_wait, again)

    def _mirrors(self) -> Iterator[Host]:
        """Yield the mirrors, which hear of no token; ModelScope counts commits in its own way, so that it mirrors nothing."""
        request = self.request
        for address in request.mirrors:
            named = request.repository.startswith(MODELSCOPE_PREFIX)
            hosts = [urlsplit(at).hostname for at in (self.host.endpoint, address)]
            if not named and not any(map(is_modelscope, hosts)) and origin(address) != origin(self.host.endpoint):
                yield find_host(self.name, request.revision, address, token=False)

    def close(self) -> None:
        """Close the connections to mirrors."""
        for host in self._sources:
            host.connection.close()

    def download(self, on_progress: ProgressListener | None, check: Callable[[], None]) -> Download:
        """Fetch what is missing."""
        commit, files = self._files()
        choice = self._choose(files)
        check()
        if (made := self._converted_before(commit, choice, files)) is not None:
            return Download(self.folder / choice.source, self.folder, self.name, commit, (), 0, 0, made)
        wanted, fetched = self._with_listed(commit, choice, files, check)
        self._check_room_for_both(commit, files, wanted)
        self._ask_of_sets(commit, files, wanted)
        self._refuse_quantized(commit, files, wanted)
        fetched += self._fetch_all(commit, wanted, on_progress, check)
        return Download(
            source=self.folder / choice.source,
            folder=self.folder,
            repository=self.name,
            commit=commit,
            files=tuple(self.folder / file.name for file in wanted),
            bytes=sum(file.size for file in wanted),
            fetched=fetched,
        )

    def _with_listed(
        self, commit: str, choice: FileSelection, files: Sequence[RemoteFile], check: Callable[[], None]
    ) -> tuple[tuple[RemoteFile, ...], int]:
        """Return what to fetch, the files that an index lists included, and the bytes that this took."""
        if not choice.index:
            return choice.files, 0
        index = next(file for file in choice.files if file.name == choice.index)
        fetched = self._fetch_all(commit, [index], None, check)
        listed = listed_weights(self.name, files, choice.index, self._weight_map(commit, index))
        return (*choice.files, *listed), fetched

    def arrival(self, on_progress: ProgressListener | None, check: Callable[[], None]) -> Arrival:
        """Fetch the small files, and the headers of the weights."""
        commit, files = self._files()
        wanted, _ = self._with_listed(commit, self._choose(files), files, check)
        weights = [file for file in wanted if is_model_file(file.name)]
        if not can_arrive(weights):
            raise self._too_little_room(self._still_needed(wanted))
        self._ask_of_sets(commit, files, wanted)
        self._refuse_quantized(commit, files, wanted)
        self._fetch_all(commit, [file for file in wanted if file not in weights], None, check)
        read = partial(self._part, commit)
        parts = {file.name: arriving_file(self.folder / file.name, file, read) for file in weights}
        total, order, fetched = sum(file.size for file in weights), list(parts), set[str]()

        def fetch(name: str) -> None:
            if name in fetched:
                return
            fetched.add(name)
            number = order.index(name)
            done = sum(file.size for file in weights[:number])
            self._fetch_all(commit, [weights[number]], _within(on_progress, done, total, number, len(weights)), check)
            parts[name].arrive()

        def drop(name: str) -> None:
            path = self.folder / name
            parts[name].close()
            delete_files([path, partial_path(path, by_name[name])])
            forget_files(self.folder, [path])

        def here(name: str) -> int:
            path = self.folder / name
            return _size(path) or _size(partial_path(path, by_name[name]))

        by_name = {file.name: file for file in weights}
        shards = Shards(self.folder, list(parts.values()))
        return Arrival(self.folder, self.name, commit, by_name, shards, fetch, drop, here)

    def _check_room_for_both(self, commit: str, files: Sequence[RemoteFile], wanted: Sequence[RemoteFile]) -> None:
        """Raise `TooLittleRoom` where the disk has none for a download and what is to be made of it.

        Its code is `ROOM_FOR_PARTS` where the files of weights can be converted one by one, or are being so.
        """
        weights = [file for file in wanted if is_model_file(file.name)]
        made = self.request.made
        if made is None or not weights:
            self._check_room(self._still_needed(wanted))
            return
        config = self._config(commit, {file.name: file for file in files if file.top})
        need = self._still_needed(wanted) + (0 if config is None else made(config))
        if not can_arrive(weights):
            self._check_room(need)
        elif self._lacks(need) or (read_journal(self.folder) is not None and self._missing(weights)):
            raise self._too_little_room(need, ROOM_FOR_PARTS)

    def _files(self) -> tuple[str, list[RemoteFile]]:
        """Return the commit and all files, with harmless names."""
        try:
            return self.host.listing()
        except (Unreachable, BadSetting):
            # Without a network, what is here is all there is; it must be enough.
            commit, files = self._kept_listing()
            if not files:
                raise
            return commit, files

    def outline(self) -> Outline:
        """Return what a quantization is chosen by."""
        commit, files = self._files()
        choice, models = self._choose(files), gguf_models(files)
        if not choice.source.lower().endswith(".gguf"):
            return Outline(self._config(commit, {file.name: file for file in files if file.top}))
        if self.file or len(models) < 2:
            return Outline()
        return Outline(None, {name: size_of(parts) for name, parts in models.items()}, self._headers(commit, models)[0])

    def describe(self) -> Description:
        """Return its card, its files and what its host says of it."""
        commit, files = self._files()
        about = self.host.about()
        card = next((file for file in files if file.name.lower() == _CARD), None)
        text, withheld = "", False
        if card is not None and card.size <= _MOST_CARD:
            try:
                text = self._small(commit, card).decode("utf-8", "replace")
            except Refused:
                withheld = True
        return Description(
            self.name,
            self.host.page,
            about.licence,
            about.downloads,
            about.gated,
            _LEAD.sub("", text.replace("\r\n", "\n")).strip(),
            withheld,
            tuple(sorted(files, key=lambda file: file.name)),
        )

    def _small(self, commit: str, file: RemoteFile) -> bytes:
        """Return a small file; of one that is here already nothing is fetched."""
        path = self.folder / file.name
        if _size(path) == file.size:
            return read_bytes(path, largest=file.size)
        return read_small(self.host.connection, self.host.url(commit, file), file, file.size)

    def preview(self) -> Preview:
        """Return what would be fetched."""
        commit, files = self._files()
        names = {file.name: file for file in files if file.top}
        try:
            choice = self._choose(files)
            wanted = choice.files
            if choice.index:
                weight_map = self._weight_map(commit, names[choice.index])
                wanted = (*wanted, *listed_weights(self.name, files, choice.index, weight_map))
            self._ask_of_sets(commit, files, wanted)
        except SeveralModels as error:
            models = {file.name: file.size for file in sorted(error.files, key=lambda file: file.name)}
            return Preview(self.name, "", 0, models=models, question=error)
        if choice.source.lower().endswith(".gguf"):
            return self._preview_gguf(commit, choice, files)
        self._refuse_quantized(commit, files, wanted)
        config, has_template = self._nature(commit, names)
        held = 0
        if choice.index and config is not None:
            listed = [file for file in wanted if is_model_file(file.name)]
            held = held_at_once(config, self._weight_map(commit, names[choice.index]), listed)
        return Preview(
            self.name, choice.source, self._missing(wanted), weights_bytes(wanted), held, config, has_template
        )

    def _ask_of_sets(self, commit: str, files: Sequence[RemoteFile], wanted: Sequence[RemoteFile]) -> None:
        """Raise `SeveralModels` where there is another set of weights with other values than those to be fetched."""
        weights = self._missing_weights(wanted)
        other = None if self.file else competing_set(self.name, weights, files, partial(self._part, commit))
        if other is not None:
            raise two_sets(self.name, weights, other)

    def _refuse_quantized(self, commit: str, files: Sequence[RemoteFile], wanted: Sequence[RemoteFile]) -> None:
        """Raise `UnsupportedModel` where the headers of weights to be fetched say that another program quantized them."""
        weights = self._missing_weights(wanted)
        config = self._config(commit, {file.name: file for file in files if file.top}) if weights else None
        if config is not None:
            refuse_quantized_weights(self.name, config, weights, partial(self._part, commit))

    def _missing_weights(self, wanted: Sequence[RemoteFile]) -> list[RemoteFile]:
        """Return the files of weights, where one of them is still to be fetched."""
        weights = of_one_format([file for file in wanted if is_model_file(file.name)])
        return weights if any(_size(self.folder / file.name) != file.size for file in weights) else []

    def _preview_gguf(self, commit: str, choice: FileSelection, files: Sequence[RemoteFile]) -> Preview:
        models = gguf_models(choice.files if self.file else files)
        wanted = self.request.selection.quants
        asked = {name: parts for name, parts in models.items() if wanted is USUAL_QUANTS or name in wanted or self.file}
        headers, unread = self._headers(commit, asked)
        return Preview(
            self.name,
            choice.source,
            self._missing(choice.files),
            weights_bytes(choice.files),
            quants={quant: size_of(parts) for quant, parts in models.items()},
            quant=next((name for name, parts in models.items() if parts[0].name == choice.source), ""),
            headers=headers,
            unread=unread,
        )

    def _missing(self, files: Iterable[RemoteFile]) -> int:
        return sum(file.size for file in files if _size(self.folder / file.name) != file.size)

    def _nature(self, commit: str, names: Mapping[str, RemoteFile]) -> tuple[Config | None, bool | None]:
        """Return the configuration, and whether there is a chat template."""
        config = self._config(commit, names)
        if config is None:
            return None, None
        if "chat_template.jinja" in names or "chat_template.json" in names:
            return config, True
        tokenizer = names.get("tokenizer_config.json")
        if tokenizer is None:
            return config, False
        return config, self._read(commit, tokenizer, _TokenizerConfig).chat_template is not None

    def _config(self, commit: str, names: Mapping[str, RemoteFile]) -> Config | None:
        if "config.json" not in names:
            return None
        data = self._read(commit, names["config.json"], dict[str, Any])
        config = understood(Config(data, f"{self.name}/config.json", folder=self.name.partition("/")[2]))
        return as_stored(self.name, config, names, partial(self._part, commit))

    def _part(self, commit: str, file: RemoteFile, first: int, last: int) -> bytes:
        """Return bytes of a file, the last one included; of a file that is here already nothing is fetched."""
        path = self.folder / file.name
        if _size(path) != file.size:
            return read_part(self.host.connection, self.host.url(commit, file), file, first, last)
        with path.open("rb") as stream:
            stream.seek(first)
            return stream.read(last + 1 - first)

    def _converted_before(self, commit: str, choice: FileSelection, files: Sequence[RemoteFile]) -> Path | None:
        """Return the model that was made of what was chosen, as it is now, where one will do."""
        quant = self.request.selection.converted
        if not quant or choice.source not in conversions_by_source(self.folder):
            return None
        made, current = earlier_conversion(self.folder, self.folder / choice.source, commit, quant)
        return made if current else None

    def _weight_map(self, commit: str, index: RemoteFile) -> Mapping[str, str]:
        return self._read(commit, index, _Index).weight_map

    def _read(self, commit: str, file: RemoteFile, kind: type[T]) -> T:
        """Return the JSON in a small file of the repository."""
        path = self.folder / file.name
        most = _MOST_INDEX if kind is _Index else _MOST_CONFIG
        if _size(path) == file.size:
            data = read_bytes(path, largest=most)
        else:
            data = read_small(self.host.connection, self.host.url(commit, file), file, most)
        try:
            return decode(data, kind)
        except InvalidJSON as error:
            if error.key:
                raise error.of_file(f"{self.name}/{file.name}") from error
            raise BadFile(
                "{name}: {file} is not valid JSON; choose another repository.", name=self.name, file=file.name
            ) from error

    def explained(self) -> AbstractContextManager[None]:
        """Say what a failure means for this repository."""
        return explained(self.name, self.request.revision, self.folder, self.host)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes off the folder; a name with a slip in it leaves none."""
        with ExitStack() as stack:
            self.folder.mkdir(parents=True, exist_ok=True)
            try:
                stack.enter_context(alone(self.folder, self.name))
            except FileNotFoundError:  # another process removed the empty folder this moment
                self.folder.mkdir(parents=True, exist_ok=True)
                stack.enter_context(alone(self.folder, self.name))
            yield

    def _kept_listing(self) -> tuple[str, list[RemoteFile]]:
        note = read_manifest(self.folder)
        files = [RemoteFile(name, entry["size"], entry["digest"]) for name, entry in verified_files(note).items()]
        check_names(self.name, (file.name for file in files))
        return str(note.get("commit", "")), files

    def _choose(self, files: Sequence[RemoteFile]) -> FileSelection:
        return choose(self.name, files, self.file, self.request.selection)

    def _headers(
        self, commit: str, models: Mapping[str, Sequence[RemoteFile]]
    ) -> tuple[RemoteHeaders, tuple[ZhiyinError, ...]]:
        """Return what `read_headers` does; of files that are here already nothing is fetched."""
        return read_headers(self.name, models, partial(self._part, commit), self.host.connection.stop)

    def _fetch_all(
        self,
        commit: str,
        files: Sequence[RemoteFile],
        on_progress: ProgressListener | None,
        check: Callable[[], None],
    ) -> int:
        """Fetch what is missing of `files`, the small ones first; return the bytes that came."""
        one_case = (self.folder / LOCK.upper()).exists()
        check_kept_names(self.name, (file.name for file in files), one_case=one_case)
        missing = sorted((file for file in files if not self._is_here(file, check)), key=lambda file: file.size)
        partials = {file: _size(partial_path(self.folder / file.name, file)) for file in missing}
        received = sum(partials.values())
        need = sum(file.size for file in missing) - received
        self._check_room(need)
        total = sum(file.size for file in files)
        meter = Meter(on_progress, total, len(files), "downloading", resumed=total - need)
        meter.items = len(files) - len(missing)
        for file in missing:
            target = self.folder / file.name
            target.parent.mkdir(parents=True, exist_ok=True)
            _remove_other_partials(target, file)
            self._fetch(commit, file, meter, check)
            self._note_verified(commit, file)
            meter.items += 1
        meter.add(0, "")
        return max(need, 0)

    def _fetch(self, commit: str, file: RemoteFile, meter: Meter, check: Callable[[], None]) -> None:
        """Fetch a file from the host, or where that fails from a mirror: the digest is the host's."""
        failures: list[ZhiyinError] = []
        count = partial(meter.add, item=file.name)
        for host in list(self._sources):
            meter.mirror = "" if host is self.host else urlsplit(host.endpoint).netloc
            try:
                fetch(
                    host.connection,
                    host.url(commit, file),
                    file,
                    self.folder / file.name,
                    count,
                    check,
                    meter.try_again,
                )
            except (BadAnswer, BadFile, Interrupted, Refused) as error:
                failures.append(error)
                if isinstance(error, Refused) and error.values["status"] in _NOT_ALLOWED:
                    break  # a licence is to be accepted first
            else:
                self._sources = [host, *(other for other in self._sources if other is not host)]
                return
        raise failures[0]

    def _is_here(self, file: RemoteFile, check: Callable[[], None]) -> bool:
        """Tell whether a file is here whole; one that the manifest does not call verified is read once."""
        path = self.folder / file.name
        if _size(path) != file.size or not path.is_file():
            return False
        entry = verified_files(read_manifest(self.folder)).get(file.name)
        if entry is not None and entry["mtime"] == path.stat().st_mtime_ns:
            return bool(entry["digest"] == file.digest)
        return digest_of(path, file, check) == file.digest

    def _note_verified(self, commit: str, file: RemoteFile) -> None:
        """Note that a file was checked."""
        note = read_manifest(self.folder)
        status = (self.folder / file.name).stat()
        entry = {"size": file.size, "digest": file.digest, "mtime": status.st_mtime_ns}
        known = {"repository": self.name, "page": self.host.page, "commit": commit, "revision": self.request.revision}
        write_manifest(self.folder, {**note, **known, "files": {**verified_files(note), file.name: entry}})

    def _still_needed(self, files: Sequence[RemoteFile]) -> int:
        """Return the bytes that are missing, what came before a stop taken off."""
        paths = ((file, self.folder / file.name) for file in files)
        return sum(file.size - _size(partial_path(path, file)) for file, path in paths if _size(path) != file.size)

    def _check_room(self, need: int) -> None:
        if self._lacks(need):
            raise self._too_little_room(need)

    def _lacks(self, need: int) -> bool:
        return need + _SPARE > shutil.disk_usage(self.folder).free

    def _too_little_room(self, need: int, code: str = "") -> TooLittleRoom:
        return TooLittleRoom(  # one number: two could be the same in gigabytes
            "There is too little room for {name} in {folder}; free {missing:size} there, or set ZHIYIN_HOME to a larger "
            "disk.",
            name=self.name,
            folder=self.folder,
            missing=max(0, need + _SPARE - shutil.disk_usage(self.folder).free),
            code=code,
        )


def _within(
    listener: ProgressListener | None, done: int, total: int, number: int, count: int
) -> ProgressListener | None:
    """Return who hears of one file's progress, and tells it as that of several.

    Args:
        listener: hears of all of them.
        done: bytes of the files before.
        total: bytes of all.
        number: how many files were before.
        count: how many there are.
    """
    if listener is None:
        return None

    def tell(progress: Progress) -> None:
        left = total - done - progress.bytes_done
        listener(
            replace(
                progress,
                bytes_done=done + progress.bytes_done,
                bytes_total=total,
                resumed=done + progress.resumed,
                items_done=number + progress.items_done,
                items_total=count,
                seconds_left=left / progress.bytes_per_second if progress.bytes_per_second else None,
            )
        )

    return tell


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _remove_other_partials(target: Path, file: RemoteFile) -> None:
    """Throw away what is left of another content of this file."""
    keep = partial_path(target, file)
    for path in target.parent.glob(f".{target.name}.*.part"):
        if path != keep:
            path.unlink(missing_ok=True)
