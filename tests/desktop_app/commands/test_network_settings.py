"""Settings of this computer's network through the command: each that is wrong is told by its name, and by nothing else."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from converter.hub.network_settings import Proxy, proxy_for
from converter.hub.repository import preview
from converter.hub.request import DownloadRequest
from desktop_app.cli import main
from desktop_app.commands.terminal import INTERRUPTED, ProgressLine
from desktop_app.paths import downloads_folder
from models.errors import ZhiyinError
from tests.support import hostile_answers as hostile
from tests.support.certificates import make_certificate, tls_of
from tests.support.hub_server import HubServer, Repository
from tests.support.network_cases import HUB, SETTINGS, WRONG
from tests.support.proxies import Serve, forward, http_proxy, listening, socks_proxy
from tests.support.random_gguf import write_mixture

NAME = "org/tiny"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[HubServer]:
    for name in SETTINGS:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    file = write_mixture(tmp_path / "tiny.gguf", 2, layers=1, width=64, inner=64)
    with HubServer() as running:
        files = {"tiny-F32.gguf": file.read_bytes()}
        running.repositories[NAME] = Repository({"main": files}, lfs=())
        yield running


def port_of(server: HubServer) -> int:
    return int(server.endpoint.rpartition(":")[2])


def fit(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    """Run `zhiyin fit` and return its exit code and what it says on stderr."""
    code = main(["fit", NAME, *arguments, "--json"])
    said = capsys.readouterr()
    assert (code == 0) == bool(said.out)
    if code:
        assert said.err.startswith("zhiyin: ")
        assert said.err.count("\n") == 1
    return code, said.err


PROXIES: dict[str, tuple[str, str, Callable[[int], Serve]]] = {
    "http": ("HTTP_PROXY", "http://127.0.0.1:{port}", http_proxy),
    "http in small letters": ("http_proxy", "http://127.0.0.1:{port}/", http_proxy),
    "without scheme": ("HTTP_PROXY", "127.0.0.1:{port}", http_proxy),
    "for all": ("ALL_PROXY", "http://127.0.0.1:{port}", http_proxy),
    "with password": ("HTTP_PROXY", "http://me:secret@127.0.0.1:{port}", lambda port: http_proxy(port, "secret")),
    "socks5": ("ALL_PROXY", "socks5://127.0.0.1:{port}", socks_proxy),
    "socks5h": ("all_proxy", "socks5h://127.0.0.1:{port}", socks_proxy),
    "socks of GNOME": ("all_proxy", "socks://127.0.0.1:{port}/", socks_proxy),
}


@pytest.mark.parametrize("kind", PROXIES)
def test_proxies_that_work(
    server: HubServer, kind: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    variable, address, serve = PROXIES[kind]
    with listening(serve(port_of(server))) as port:
        monkeypatch.setenv(variable, address.format(port=port))
        code, said = fit(capsys, "--endpoint", HUB)
        assert code == 0, said
    assert server.requests


@pytest.mark.parametrize(
    "listed", ["127.0.0.1", "x 127.0.0.1", "127.0.0.0/8", "http://127.0.0.1/", ".0.0.1", "*.0.0.1", "x;127.0.0.1", "*"]
)
def test_hosts_that_need_no_proxy(server: HubServer, listed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", " http://127.0.0.1:9\n")
    assert proxy_for("http://127.0.0.1:80") is not None
    monkeypatch.setenv("NO_PROXY", listed)
    assert proxy_for("http://127.0.0.1:80") is None
    assert listed == "*" or proxy_for("http://hub.test") == Proxy("http://127.0.0.1:9", "HTTP_PROXY")


@pytest.mark.parametrize("inside", ["http://127.0.0.1:9", "http://localhost:9", "http://127.1:9", "http://[::1]:9"])
def test_a_public_host_does_not_lead_into_this_computer(
    server: HubServer, inside: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    server.repositories[NAME].lfs = (".gguf",)
    server.content_at = inside
    with listening(http_proxy(port_of(server))) as port:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{port}")
        code, said = fit(capsys, "--endpoint", HUB)
    assert (code, "hub.test redirects into this computer or its network" in said) == (1, True), said


def test_a_name_that_means_this_computer_is_not_followed(
    server: HubServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It looks public; what it was resolved to is seen when it is connected to, before anything is sent there."""
    resolve, asked = socket.getaddrinfo, []
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda host, *rest: resolve("127.0.0.1" if host == "evil.test" else host, *rest)
    )
    server.repositories[NAME].lfs = (".gguf",)
    with (
        listening(http_proxy(port_of(server))) as port,
        listening(lambda client: asked.append(client.recv(99))) as inside,
    ):
        server.content_at = f"http://evil.test:{inside}"
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{port}")
        monkeypatch.setenv("NO_PROXY", "evil.test")
        code, said = fit(capsys, "--endpoint", HUB)
    assert (code, "evil.test redirects into this computer" in said or "hub.test redirects into this" in said) == (
        1,
        True,
    ), said
    assert asked in ([], [b""])


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_certificate(tmp_path_factory.mktemp("tls") / "certificate.pem")


def test_https_through_proxies_with_a_certificate_of_ones_own(
    server: HubServer, certificate: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with ExitStack() as stack:
        plain = stack.enter_context(listening(forward(port_of(server)), tls_of(certificate)))
        proxy = stack.enter_context(listening(http_proxy(plain)))
        tls_proxy = stack.enter_context(listening(http_proxy(plain), tls_of(certificate)))
        socks = stack.enter_context(listening(socks_proxy(plain)))
        assert (
            "is not trusted here (self-signed certificate)"
            in fit(capsys, "--endpoint", f"https://127.0.0.1:{plain}")[1]
        )
        monkeypatch.setenv("SSL_CERT_FILE", f"{certificate}.crt")
        code, said = fit(capsys, "--endpoint", f"https://127.0.0.1:{plain}")
        assert code == 0, said
        for address in (f"http://127.0.0.1:{proxy}", f"https://127.0.0.1:{tls_proxy}", f"socks5://127.0.0.1:{socks}"):
            monkeypatch.setenv("HTTPS_PROXY", address)
            code, said = fit(capsys, "--endpoint", "https://hub.test")
            assert code == 0, said
        monkeypatch.delenv("HTTPS_PROXY")
        monkeypatch.setitem(
            server.raw, "^/api/", hostile.answer(b"", "302 Found", Location=f"{server.endpoint}/api/models/{NAME}")
        )
        assert "redirects from HTTPS to HTTP" in fit(capsys, "--endpoint", f"https://127.0.0.1:{plain}")[1]
        plain_http = server.endpoint.replace("http:", "https:")
        assert "makes no secure connection (" in fit(capsys, "--endpoint", plain_http)[1]


@pytest.mark.parametrize("case", WRONG)
def test_settings_that_are_wrong(
    server: HubServer, case: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    wrong = WRONG[case]
    with wrong.prevailing(monkeypatch.setenv) as filled:
        code, said = fit(capsys, *(("--endpoint", filled.endpoint) if filled.endpoint else ()))
        assert (code, filled.english in said) == (1, True), said
        assert "secret" not in said
        with pytest.raises(ZhiyinError) as caught:
            preview(DownloadRequest(NAME, tmp_path, endpoint=filled.endpoint))
        assert caught.value.code == wrong.code


@pytest.mark.parametrize("words", [("pull", NAME), ("fit", NAME), ("convert", NAME), ("search", "tiny")])
def test_a_host_that_says_nothing_is_told_of_before_anything_is_fetched(
    server: HubServer, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = []

    def show(line: ProgressLine, part: float, text: str) -> None:
        drawn.append(text)
        raise KeyboardInterrupt

    monkeypatch.setattr(ProgressLine, "show", show)
    over = threading.Event()
    with listening(lambda client: over.wait(60) and None) as port:
        assert main([*words, "--endpoint", f"http://127.0.0.1:{port}"]) == INTERRUPTED
        over.set()
    assert drawn == ["the host says nothing yet"]


def test_a_model_that_is_here_needs_no_good_settings(
    server: HubServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pull = ["pull", NAME, "--endpoint", server.endpoint]
    assert main(pull) == 0
    for name, value in (("ALL_PROXY", "socks4://x:1"), ("ALL_PROXY", "socks5://127.0.0.1:9"), ("HF_HUB_OFFLINE", "1")):
        with monkeypatch.context() as context:
            context.setenv(name, value)
            capsys.readouterr()
            assert main(pull) == 0
            assert capsys.readouterr().out == "tiny-F32\n"


def test_a_disk_is_told_by_what_is_wrong_with_it(
    server: HubServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    downloads_folder().mkdir(parents=True, exist_ok=True)
    (downloads_folder() / "org--tiny").write_text("a file where a folder should be")
    assert main(["pull", NAME, "--endpoint", server.endpoint]) == 1
    said = capsys.readouterr().err
    assert "org--tiny cannot be written" in said
    assert "free some room" not in said
    (downloads_folder() / "org--tiny").unlink()
    if os.geteuid() == 0:
        return  # root may write everywhere
    downloads_folder().chmod(0o500)
    assert main(["pull", NAME, "--endpoint", server.endpoint]) == 1
    assert "(Permission denied); allow it, or set ZHIYIN_HOME" in capsys.readouterr().err


@pytest.mark.skipif(os.name == "nt", reason="Windows has no limit of a file's size")
def test_a_disk_that_takes_no_large_files(server: HubServer, data_home: Path) -> None:
    content = b"GGUF" + bytes(3_000_000)
    server.repositories[NAME] = Repository({"main": {"tiny-F32.gguf": content}})
    words = [sys.executable, "-m", "desktop_app.cli", "pull", NAME, "--endpoint", server.endpoint]
    limited = ["sh", "-c", 'ulimit -f 2000; exec "$@"', "sh", *words]
    done = subprocess.run(limited, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 1
    cost, said, end = done.stderr.split("\n")
    assert (cost.startswith("3.0 MB to download (F32); "), end) == (True, "")
    assert "takes no files of that size; set ZHIYIN_HOME to a folder on another disk" in said


def test_settings_of_huggingface_hub(server: HubServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """They are read for its own endpoint alone, in a process that has not imported it yet."""
    from tests.support.commands import zhiyin

    def said(**environment: str) -> str:
        done = zhiyin("fit", NAME, "--json", HTTPS_PROXY="http://127.0.0.1:9", **environment)
        assert (done.returncode, done.stdout) == (1, "")
        return done.stderr

    (tmp_path / "token").write_bytes(b"\xff\xfe\x00")
    assert "The proxy http://127.0.0.1:9 (HTTPS_PROXY) cannot be reached" in said()
    assert "A setting of huggingface-hub" in said(HF_HUB_ETAG_TIMEOUT="soon")
    assert "A setting of huggingface-hub" in said(HF_TOKEN_PATH=str(tmp_path / "token"))
    assert f"The token of a login cannot be read: {tmp_path}" in said(HF_TOKEN_PATH=str(tmp_path))
    (tmp_path / "token").write_bytes(b"\xef\xbb\xbfhf_abc\r\n")
    assert "The proxy http://127.0.0.1:9" in said(HF_TOKEN_PATH=str(tmp_path / "token"))
    (tmp_path / "token").write_text("hf_ü")
    assert f"The token in {tmp_path / 'token'} holds characters" in said(HF_TOKEN_PATH=str(tmp_path / "token"))
    for variable in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        assert f"The token in {variable} holds characters" in said(**{variable: "hf_ü"})
