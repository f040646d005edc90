"""Settings of this computer's network through the command: each that is wrong is told by its name, and by nothing else."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from converter.hub.network_settings import Proxy, proxy_for
from converter.hub.repository import preview
from converter.hub.request import DownloadRequest
from desktop_app.cli import main
from desktop_app.paths import downloads_folder
from models.errors import ZhiyinError
from tests.support import hostile_answers as hostile
from tests.support.certificates import make_certificate, tls_of
from tests.support.hub_server import HubServer, Repository
from tests.support.proxies import Serve, forward, http_proxy, listening, says, socks_proxy
from tests.support.random_gguf import write_mixture

NAME = "org/tiny"
HUB = "http://hub.test"
"""A name that is known to proxies only."""
SETTINGS = (
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "HF_TOKEN",
    "HF_ENDPOINT",
)
SETTINGS += (
    "MODELSCOPE_API_TOKEN",
    "HF_HUB_OFFLINE",
    "TRANSFORMERS_OFFLINE",
    "HUGGING_FACE_HUB_TOKEN",
    "HF_TOKEN_PATH",
)


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


@dataclass(frozen=True)
class Wrong:
    """A setting that cannot be used."""

    environment: dict[str, str]
    """`{unused}`: a port on which nobody listens; `{says}`: one of `Wrong.serve`."""
    sentence: str
    code: str
    endpoint: str = HUB
    serve: Serve | None = None


NO_PORT = "http://127.0.0.1:{unused}"
WRONG: dict[str, Wrong] = {
    "proxy not running": Wrong(
        {"HTTP_PROXY": NO_PORT},
        "The proxy http://127.0.0.1:{unused} (HTTP_PROXY) cannot be reached (the connection was refused); start it",
        "proxy",
    ),
    "SOCKS proxy not running": Wrong(
        {"ALL_PROXY": "socks5://me:secret@127.0.0.1:{unused}"},
        "The proxy socks5://127.0.0.1:{unused} (ALL_PROXY) cannot be reached (the connection was refused); start it",
        "proxy",
    ),
    "proxy's name unknown": Wrong(
        {"http_proxy": "http://no-such-proxy.invalid:3128"},
        "The proxy http://no-such-proxy.invalid:3128 (http_proxy) cannot be reached (its name cannot be resolved)",
        "proxy",
    ),
    "proxy wants a password": Wrong(
        {"HTTP_PROXY": "http://127.0.0.1:{says}"},
        "(HTTP_PROXY) wants a name and a password; write them into its address",
        "proxy",
        serve=http_proxy(9, "secret"),
    ),
    "proxy wants another password": Wrong(
        {"HTTPS_PROXY": "http://me:wrong@127.0.0.1:{says}"},
        "(HTTPS_PROXY) wants a name and a password",
        "proxy",
        endpoint="https://hub.test",
        serve=http_proxy(9, "secret"),
    ),
    "proxy forbids": Wrong(
        {"HTTPS_PROXY": "http://127.0.0.1:{says}"},
        "(HTTPS_PROXY) does not connect to hub.test (the proxy says '403 Forbidden'); ask who runs it",
        "proxy",
        endpoint="https://hub.test",
        serve=says(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"),
    ),
    "SOCKS proxy forbids": Wrong(
        {"ALL_PROXY": "socks5://127.0.0.1:{says}"},
        "(ALL_PROXY) does not connect to hub.test (the proxy says ",
        "proxy",
        serve=socks_proxy(9, 2),
    ),
    "no SOCKS proxy": Wrong(
        {"ALL_PROXY": "socks5://127.0.0.1:{says}"},
        "What answers at socks5://127.0.0.1:{says} (ALL_PROXY) is no proxy of that kind",
        "proxy",
        serve=says(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
    ),
    "no HTTP proxy": Wrong(
        {"HTTPS_PROXY": "http://127.0.0.1:{says}"},
        "What answers at http://127.0.0.1:{says} (HTTPS_PROXY) is no proxy of that kind",
        "proxy",
        endpoint="https://hub.test",
        serve=says(b"SSH-2.0-OpenSSH_9.2\r\n"),
    ),
    "SOCKS4": Wrong(
        {"ALL_PROXY": "socks4://127.0.0.1:1080"},
        "ALL_PROXY names a proxy of the kind 'socks4', which Zhiyin does not speak; set it to http://HOST:PORT or socks5://",
        "proxy",
    ),
    "proxy without host": Wrong({"HTTP_PROXY": "http://"}, "HTTP_PROXY is no address of a proxy", "proxy"),
    "proxy with a wrong port": Wrong(
        {"HTTP_PROXY": "http://me:secret@host:port"}, "HTTP_PROXY is no address of a proxy ('host:port')", "proxy"
    ),
    "proxy's password of other marks": Wrong(
        {"HTTP_PROXY": "http://me:secret#/?[ 1@127.0.0.1:{unused}"},
        "The name or password in HTTP_PROXY has characters that mean something else in an address; write them as % and two",
        "proxy",
    ),
    "proxy with an open bracket": Wrong({"ALL_PROXY": "http://[::1"}, "ALL_PROXY is no address of a proxy", "proxy"),
    "proxy of Chinese quotes": Wrong({"ALL_PROXY": "“http://a:1”"}, "ALL_PROXY", "proxy"),
    "certificates missing": Wrong(
        {"SSL_CERT_FILE": "/no/such/certificates.pem"},
        "SSL_CERT_FILE names /no/such/certificates.pem, which cannot be read (No such file or directory); correct it or",
        "certificates",
        endpoint="https://127.0.0.1:{unused}",
    ),
    "certificates of nonsense": Wrong(
        {"SSL_CERT_FILE": __file__},
        "which holds no certificates; correct it or unset it.",
        "certificates",
        endpoint="https://127.0.0.1:{unused}",
    ),
    "certificates are a folder": Wrong(
        {"SSL_CERT_FILE": "/"}, "SSL_CERT_FILE names /, which", "certificates", endpoint="https://127.0.0.1:{unused}"
    ),
    "certificates' folder without any": Wrong(
        {"SSL_CERT_DIR": str(Path(__file__).parent)},
        "which holds no certificates; correct it or unset it.",
        "certificates",
        endpoint="https://127.0.0.1:{unused}",
    ),
    "certificates' folder missing": Wrong(
        {"SSL_CERT_DIR": "/no/such/folder"},
        "SSL_CERT_DIR names /no/such/folder, which cannot be read (No such file or directory)",
        "certificates",
        endpoint="https://127.0.0.1:{unused}",
    ),
    "token of Chinese": Wrong(
        {"HF_TOKEN": "hf_密码", "HF_ENDPOINT": HUB},
        "The token in HF_TOKEN holds characters that no token has; copy it again from http://hub.test/settings/tokens.",
        "token",
        endpoint="",
    ),
    "token of two lines": Wrong(
        {"HF_TOKEN": "hf_a\nX-Evil: b", "HF_ENDPOINT": HUB},
        "The token in HF_TOKEN holds characters",
        "token",
        endpoint="",
    ),
    "token with a blank": Wrong(
        {"HF_TOKEN": "Bearer hf_a", "HF_ENDPOINT": HUB}, "The token in HF_TOKEN holds characters", "token", endpoint=""
    ),
    "token of no encoding": Wrong(
        {"HF_TOKEN": "hf_\udcff", "HF_ENDPOINT": HUB}, "The token in HF_TOKEN holds characters", "token", endpoint=""
    ),
    "endpoint of another kind": Wrong(
        {"HF_ENDPOINT": "ftp://hub.test"},
        "HF_ENDPOINT is 'ftp://hub.test', which is no address of a Hub; write it as https://HOST, or unset it.",
        "endpoint",
        endpoint="",
    ),
    "endpoint without scheme": Wrong(
        {"HF_ENDPOINT": "hf-mirror.com"}, "HF_ENDPOINT is 'hf-mirror.com'", "endpoint", endpoint=""
    ),
    "endpoint without host": Wrong({"HF_ENDPOINT": "https://"}, "HF_ENDPOINT is 'https:", "endpoint", endpoint=""),
    "endpoint with a wrong port": Wrong(
        {}, "'http://host:99999' is no address of a Hub", "endpoint", "http://host:99999"
    ),
    "endpoint with an open bracket": Wrong({}, "is no address of a Hub", "endpoint", "http://[::1"),
    "endpoint with a blank": Wrong({}, "is no address of a Hub", "endpoint", "https://hugging face.co"),
    "endpoint with a password": Wrong(
        {}, "'hub.test' is no address of a Hub", "endpoint", "https://me:secret@hub.test"
    ),
    "endpoint with a line": Wrong({}, "is no address of a Hub", "endpoint", "https://hub.test\r\nX: y"),
    "endpoint of nonsense": Wrong({}, "is no address of a Hub", "endpoint", "https://{}|<>"),
    "long name of a host": Wrong({}, "is no address of a Hub", "endpoint", f"https://{'a' * 64}.test"),
    "unknown name": Wrong(
        {},
        "The name no-such-hub.invalid cannot be resolved; check the connection to the network, its DNS, and how the name",
        "name-resolution",
        "http://no-such-hub.invalid",
    ),
    "nobody listens": Wrong(
        {},
        "http://127.0.0.1:{unused} cannot be reached (the connection was refused); check the connection",
        "unreachable",
        NO_PORT,
    ),
    "no route": Wrong({}, "There is no way from this computer to 224.0.0.1 (", "no-route", "http://224.0.0.1"),
    "offline": Wrong(
        {"HF_HUB_OFFLINE": "1"},
        "org/tiny is not here whole, and HF_HUB_OFFLINE forbids fetching it; unset it.",
        "offline",
    ),
    "transformers offline": Wrong(
        {"TRANSFORMERS_OFFLINE": "yes"}, "and TRANSFORMERS_OFFLINE forbids fetching it", "offline"
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_settings_that_are_wrong(
    server: HubServer, case: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    wrong = WRONG[case]
    with socket.socket() as unused, ExitStack() as stack:
        unused.bind(("127.0.0.1", 0))
        ports = {"unused": unused.getsockname()[1], "says": 0}
        if wrong.serve is not None:
            ports["says"] = stack.enter_context(listening(wrong.serve))

        def filled(text: str) -> str:
            return text.replace("{unused}", str(ports["unused"])).replace("{says}", str(ports["says"]))

        for name, value in wrong.environment.items():
            monkeypatch.setenv(name, filled(value))
        endpoint = ("--endpoint", filled(wrong.endpoint)) if wrong.endpoint else ()
        code, said = fit(capsys, *endpoint)
        assert (code, filled(wrong.sentence) in said) == (1, True), said
        assert "secret" not in said
        with pytest.raises(ZhiyinError) as caught:
            preview(DownloadRequest(NAME, tmp_path, endpoint=filled(wrong.endpoint)))
        assert caught.value.code == wrong.code


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
    assert "takes no files of that size; set ZHIYIN_HOME to a folder on another disk" in done.stderr
    assert done.stderr.count("\n") == 1


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
