"""Settings of this computer's network that cannot be used, and what is said of each: a table for the command and the window."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from tests.support.proxies import Serve, http_proxy, listening, says, socks_proxy

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
    "MODELSCOPE_API_TOKEN",
    "HF_HUB_OFFLINE",
    "TRANSFORMERS_OFFLINE",
    "HUGGING_FACE_HUB_TOKEN",
    "HF_TOKEN_PATH",
)


class Filled(NamedTuple):
    """The texts of a case."""

    endpoint: str
    english: str
    chinese: str


@dataclass(frozen=True)
class Wrong:
    """A setting that cannot be used."""

    environment: dict[str, str]
    """`{unused}`: a port on which nobody listens; `{says}`: one of `Wrong.serve`."""
    sentence: str
    code: str
    endpoint: str = HUB
    serve: Serve | None = None
    chinese: str = ""
    """What the window says in Chinese; in English it says the same as the command, but for the way to the settings."""
    settings: bool = False
    """The window's settings can help: there is a button to them."""
    elsewhere: bool = False
    """Another host may help: there is a button for each."""

    @contextmanager
    def prevailing(self, set_variable: Callable[[str, str], object]) -> Iterator[Filled]:
        """Let it be as it says, and give its texts with the ports that are used."""
        with socket.socket() as unused, ExitStack() as stack:
            unused.bind(("127.0.0.1", 0))
            ports = {"{unused}": unused.getsockname()[1], "{says}": 0}
            if self.serve is not None:
                ports["{says}"] = stack.enter_context(listening(self.serve))

            def filled(text: str) -> str:
                for name, port in ports.items():
                    text = text.replace(name, str(port))
                return text

            for name, value in self.environment.items():
                set_variable(name, filled(value))
            yield Filled(filled(self.endpoint), filled(self.sentence), filled(self.chinese))


NO_PORT = "http://127.0.0.1:{unused}"
WRONG: dict[str, Wrong] = {
    "proxy not running": Wrong(
        {"HTTP_PROXY": NO_PORT},
        "The proxy http://127.0.0.1:{unused} (HTTP_PROXY) cannot be reached (the connection was refused); start it",
        "proxy",
        chinese="无法连接代理 http://127.0.0.1:{unused}（HTTP_PROXY）（连接被拒绝）；请启动它",
    ),
    "SOCKS proxy not running": Wrong(
        {"ALL_PROXY": "socks5://me:secret@127.0.0.1:{unused}"},
        "The proxy socks5://127.0.0.1:{unused} (ALL_PROXY) cannot be reached (the connection was refused); start it",
        "proxy",
        chinese="无法连接代理 socks5://127.0.0.1:{unused}（ALL_PROXY）（连接被拒绝）",
    ),
    "proxy's name unknown": Wrong(
        {"http_proxy": "http://no-such-proxy.invalid:3128"},
        "The proxy http://no-such-proxy.invalid:3128 (http_proxy) cannot be reached (its name cannot be resolved)",
        "proxy",
        chinese="无法连接代理 http://no-such-proxy.invalid:3128（http_proxy）（无法解析其名称）",
    ),
    "proxy wants a password": Wrong(
        {"HTTP_PROXY": "http://127.0.0.1:{says}"},
        "(HTTP_PROXY) wants a name and a password; write them into its address",
        "proxy",
        serve=http_proxy(9, "secret"),
        chinese="代理 http://127.0.0.1:{says}（HTTP_PROXY）需要用户名和密码",
    ),
    "proxy wants another password": Wrong(
        {"HTTPS_PROXY": "http://me:wrong@127.0.0.1:{says}"},
        "(HTTPS_PROXY) wants a name and a password",
        "proxy",
        endpoint="https://hub.test",
        serve=http_proxy(9, "secret"),
        chinese="代理 http://127.0.0.1:{says}（HTTPS_PROXY）需要用户名和密码",
    ),
    "proxy forbids": Wrong(
        {"HTTPS_PROXY": "http://127.0.0.1:{says}"},
        "(HTTPS_PROXY) does not connect to hub.test (the proxy says '403 Forbidden'); ask who runs it",
        "proxy",
        endpoint="https://hub.test",
        serve=says(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"),
        chinese="代理 http://127.0.0.1:{says}（HTTPS_PROXY）不肯连接 hub.test（代理的回应是 '403 Forbidden'）",
    ),
    "SOCKS proxy forbids": Wrong(
        {"ALL_PROXY": "socks5://127.0.0.1:{says}"},
        "(ALL_PROXY) does not connect to hub.test (the proxy says ",
        "proxy",
        serve=socks_proxy(9, 2),
        chinese="代理 socks5://127.0.0.1:{says}（ALL_PROXY）不肯连接 hub.test（代理的回应是 ",
    ),
    "no SOCKS proxy": Wrong(
        {"ALL_PROXY": "socks5://127.0.0.1:{says}"},
        "What answers at socks5://127.0.0.1:{says} (ALL_PROXY) is no proxy of that kind",
        "proxy",
        serve=says(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
        chinese="在 socks5://127.0.0.1:{says}（ALL_PROXY）应答的不是该类型的代理",
    ),
    "no HTTP proxy": Wrong(
        {"HTTPS_PROXY": "http://127.0.0.1:{says}"},
        "What answers at http://127.0.0.1:{says} (HTTPS_PROXY) is no proxy of that kind",
        "proxy",
        endpoint="https://hub.test",
        serve=says(b"SSH-2.0-OpenSSH_9.2\r\n"),
        chinese="在 http://127.0.0.1:{says}（HTTPS_PROXY）应答的不是该类型的代理",
    ),
    "SOCKS4": Wrong(
        {"ALL_PROXY": "socks4://127.0.0.1:1080"},
        "ALL_PROXY names a proxy of the kind 'socks4', which Zhiyin does not speak; set it to http://HOST:PORT or socks5://",
        "proxy",
        chinese="ALL_PROXY 指定的代理类型 'socks4' 不受知音支持；请改为 http://主机:端口 或 socks5://主机:端口",
    ),
    "proxy without host": Wrong(
        {"HTTP_PROXY": "http://"},
        "HTTP_PROXY is no address of a proxy",
        "proxy",
        chinese="HTTP_PROXY 不是有效的代理地址（'http://'）",
    ),
    "proxy with a wrong port": Wrong(
        {"HTTP_PROXY": "http://me:secret@host:port"},
        "HTTP_PROXY is no address of a proxy ('host:port')",
        "proxy",
        chinese="HTTP_PROXY 不是有效的代理地址（'host:port'）",
    ),
    "proxy's password of other marks": Wrong(
        {"HTTP_PROXY": "http://me:secret#/?[ 1@127.0.0.1:{unused}"},
        "The name or password in HTTP_PROXY has characters that mean something else in an address; write them as % and two",
        "proxy",
        chinese="HTTP_PROXY 中的用户名或密码含有在地址里另有含义的字符；请写成 % 加两位十六进制数",
    ),
    "proxy with an open bracket": Wrong(
        {"ALL_PROXY": "http://[::1"},
        "ALL_PROXY is no address of a proxy",
        "proxy",
        chinese="ALL_PROXY 不是有效的代理地址（'http://[::1'）",
    ),
    "proxy of Chinese quotes": Wrong(
        {"ALL_PROXY": "“http://a:1”"}, "ALL_PROXY", "proxy", chinese="ALL_PROXY 指定的代理类型 '“http' 不受知音支持"
    ),
    "proxy of other digits": Wrong(
        {"HTTP_PROXY": "http://①②.test:3128"},
        "HTTP_PROXY is no address of a proxy ('http://①②.test:3128')",
        "proxy",
        chinese="HTTP_PROXY 不是有效的代理地址（'http://①②.test:3128'）",
    ),
    "certificates missing": Wrong(
        {"SSL_CERT_FILE": "/no/such/certificates.pem"},
        "SSL_CERT_FILE names /no/such/certificates.pem, which cannot be read (No such file or directory); correct it or",
        "certificates",
        endpoint="https://127.0.0.1:{unused}",
        chinese="SSL_CERT_FILE 指向的 /no/such/certificates.pem 无法读取（没有那个文件或文件夹）；请更正或取消该设置",
    ),
    "certificates of nonsense": Wrong(
        {"SSL_CERT_FILE": __file__},
        "which holds no certificates; correct it or unset it.",
        "certificates",
        endpoint="https://127.0.0.1:{unused}",
        chinese="network_cases.py 中没有证书；请更正或取消该设置",
    ),
    "certificates are a folder": Wrong(
        {"SSL_CERT_FILE": "/"},
        "SSL_CERT_FILE names /, which",
        "certificates",
        endpoint="https://127.0.0.1:{unused}",
        chinese="SSL_CERT_FILE 指向的 / ",
    ),
    "certificates' folder without any": Wrong(
        {"SSL_CERT_DIR": str(Path(__file__).parent)},
        "which holds no certificates; correct it or unset it.",
        "certificates",
        endpoint="https://127.0.0.1:{unused}",
        chinese="support 中没有证书；请更正或取消该设置",
    ),
    "certificates' folder missing": Wrong(
        {"SSL_CERT_DIR": "/no/such/folder"},
        "SSL_CERT_DIR names /no/such/folder, which cannot be read (No such file or directory)",
        "certificates",
        endpoint="https://127.0.0.1:{unused}",
        chinese="SSL_CERT_DIR 指向的 /no/such/folder 无法读取（没有那个文件或文件夹）",
    ),
    "token of Chinese": Wrong(
        {"HF_TOKEN": "hf_密码", "HF_ENDPOINT": HUB},
        "The token in HF_TOKEN holds characters that no token has; copy it again from http://hub.test/settings/tokens.",
        "token",
        endpoint="",
        chinese="HF_TOKEN 中的令牌含有令牌不可能有的字符；请从 http://hub.test/settings/tokens 重新复制",
        settings=True,
    ),
    "token of two lines": Wrong(
        {"HF_TOKEN": "hf_a\nX-Evil: b", "HF_ENDPOINT": HUB},
        "The token in HF_TOKEN holds characters",
        "token",
        endpoint="",
        chinese="HF_TOKEN 中的令牌含有令牌不可能有的字符",
        settings=True,
    ),
    "token with a blank": Wrong(
        {"HF_TOKEN": "Bearer hf_a", "HF_ENDPOINT": HUB},
        "The token in HF_TOKEN holds characters",
        "token",
        endpoint="",
        chinese="HF_TOKEN 中的令牌含有令牌不可能有的字符",
        settings=True,
    ),
    "token of no encoding": Wrong(
        {"HF_TOKEN": "hf_\udcff", "HF_ENDPOINT": HUB},
        "The token in HF_TOKEN holds characters",
        "token",
        endpoint="",
        chinese="HF_TOKEN 中的令牌含有令牌不可能有的字符",
        settings=True,
    ),
    "endpoint of another kind": Wrong(
        {"HF_ENDPOINT": "ftp://hub.test"},
        "HF_ENDPOINT is 'ftp://hub.test', which is no address of a Hub; write it as https://HOST, or unset it.",
        "endpoint",
        endpoint="",
        chinese="HF_ENDPOINT 的值 'ftp://hub.test' 不是 Hub 的地址；请写成 https://主机，或取消该设置",
        settings=True,
    ),
    "endpoint of other digits": Wrong(
        {},
        "'http://１２７.0.0.1:9/api/models/org/tiny?blobs=True' is no address that can be asked for; correct it.",
        "endpoint",
        endpoint="http://１２７.0.0.1:9",
        chinese="'http://１２７.0.0.1:9/api/models/org/tiny?blobs=True' ",
        settings=True,
    ),
    "endpoint without scheme": Wrong(
        {"HF_ENDPOINT": "hf-mirror.com"},
        "HF_ENDPOINT is 'hf-mirror.com'",
        "endpoint",
        endpoint="",
        chinese="HF_ENDPOINT 的值 'hf-mirror.com' 不是 Hub 的地址",
        settings=True,
    ),
    "endpoint without host": Wrong(
        {"HF_ENDPOINT": "https://"},
        "HF_ENDPOINT is 'https:",
        "endpoint",
        endpoint="",
        chinese="HF_ENDPOINT 的值 'https:' 不是 Hub 的地址",
        settings=True,
    ),
    "endpoint with a wrong port": Wrong(
        {},
        "'http://host:99999' is no address of a Hub",
        "endpoint",
        "http://host:99999",
        chinese="'http://host:99999' 不是有效的下载地址；请在设置中写成 https://主机名",
        settings=True,
    ),
    "endpoint with an open bracket": Wrong(
        {},
        "is no address of a Hub",
        "endpoint",
        "http://[::1",
        chinese="'http://[::1' 不是有效的下载地址",
        settings=True,
    ),
    "endpoint with a blank": Wrong(
        {},
        "is no address of a Hub",
        "endpoint",
        "https://hugging face.co",
        chinese="'https://hugging face.co' 不是有效的下载地址",
        settings=True,
    ),
    "endpoint with a password": Wrong(
        {},
        "'hub.test' is no address of a Hub",
        "endpoint",
        "https://me:secret@hub.test",
        chinese="'hub.test' 不是有效的下载地址",
        settings=True,
    ),
    "endpoint with a line": Wrong(
        {},
        "is no address of a Hub",
        "endpoint",
        "https://hub.test\r\nX: y",
        chinese="'https://hub.test\\r\\nX: y' 不是有效的下载地址",
        settings=True,
    ),
    "endpoint of nonsense": Wrong(
        {},
        "is no address of a Hub",
        "endpoint",
        "https://{}|<>",
        chinese="'https://{}|<>' 不是有效的下载地址",
        settings=True,
    ),
    "long name of a host": Wrong(
        {},
        "is no address of a Hub",
        "endpoint",
        f"https://{'a' * 64}.test",
        chinese="不是有效的下载地址",
        settings=True,
    ),
    "unknown name": Wrong(
        {},
        "The name no-such-hub.invalid cannot be resolved; check the connection to the network, its DNS, and how the name",
        "name-resolution",
        "http://no-such-hub.invalid",
        chinese="无法解析主机名 no-such-hub.invalid；请检查网络连接、DNS 以及名称的写法",
        settings=True,
        elsewhere=True,
    ),
    "nobody listens": Wrong(
        {},
        "http://127.0.0.1:{unused} cannot be reached (the connection was refused); check the connection",
        "unreachable",
        NO_PORT,
        chinese="无法连接 http://127.0.0.1:{unused}（连接被拒绝）；请检查网络，或在设置中选择镜像或 ModelScope",
        settings=True,
        elsewhere=True,
    ),
    "no route": Wrong(
        {},
        "There is no way from this computer to 224.0.0.1 (",
        "no-route",
        "http://224.0.0.1",
        chinese="本机无法到达 224.0.0.1（",
        elsewhere=True,
    ),
    "offline": Wrong(
        {"HF_HUB_OFFLINE": "1"},
        "org/tiny is not here whole, and HF_HUB_OFFLINE forbids fetching it; unset it.",
        "offline",
        chinese="org/tiny 尚未下载完整，而环境变量 HF_HUB_OFFLINE 禁止下载；请取消该设置",
    ),
    "transformers offline": Wrong(
        {"TRANSFORMERS_OFFLINE": "yes"},
        "and TRANSFORMERS_OFFLINE forbids fetching it",
        "offline",
        chinese="而环境变量 TRANSFORMERS_OFFLINE 禁止下载",
    ),
}
