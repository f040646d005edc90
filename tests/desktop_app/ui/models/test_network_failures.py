"""What is wrong with this computer's network is said by the window too, in its language, with the button that helps."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from PySide6.QtWidgets import QLineEdit, QPushButton

from desktop_app.library import other_hosts
from desktop_app.ui.models.add_dialog import AddDialog
from desktop_app.ui.models.conversion_dialog import ConversionDialog
from desktop_app.ui.models.conversion_panel import ConversionCard
from desktop_app.ui.settings.network_section import NetworkSection
from desktop_app.ui.settings.settings_page import SettingsPage
from tests.desktop_app.ui.conftest import OpenWindow
from tests.support import hostile_answers as hostile
from tests.support.hub_server import HubServer, Repository


@dataclass(frozen=True)
class Wrong:
    """A setting that is wrong."""

    environment: dict[str, str]
    endpoint: str
    english: str
    chinese: str
    settings: bool
    """The window's settings can help."""
    elsewhere: bool = False
    """Another host may help."""


WRONG = {
    "SOCKS proxy": Wrong(
        {"ALL_PROXY": "socks5://127.0.0.1:9"},
        "http://hub.test",
        "The proxy socks5://127.0.0.1:9 (ALL_PROXY) cannot be reached (the connection was refused)",
        "无法连接代理 socks5://127.0.0.1:9（ALL_PROXY）（连接被拒绝）",
        settings=False,
    ),
    "certificates": Wrong(
        {"SSL_CERT_FILE": "/no/such.pem"},
        "https://127.0.0.1:9",
        "SSL_CERT_FILE names /no/such.pem, which cannot be read",
        "SSL_CERT_FILE 指向的 /no/such.pem 无法读取",
        settings=False,
    ),
    "token": Wrong(
        {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_TOKEN": "hf_密码"},
        "",
        "The token in HF_TOKEN holds characters that no token has",
        "HF_TOKEN 中的令牌含有令牌不可能有的字符",
        settings=True,
    ),
    "endpoint": Wrong({}, "hf-mirror.com", "is no address of a Hub; write it in the settings", "不是", settings=True),
    "name": Wrong(
        {},
        "http://no-such-hub.invalid",
        "The name no-such-hub.invalid cannot be resolved",
        "无法解析主机名",
        settings=True,
        elsewhere=True,
    ),
    "nobody": Wrong(
        {},
        "http://127.0.0.1:{unused}",
        "choose a mirror or ModelScope (https://modelscope.cn) in the settings",
        "连接被拒绝",
        settings=True,
        elsewhere=True,
    ),
    "HTTP proxy": Wrong(
        {"HTTP_PROXY": "http://me:secret@127.0.0.1:9"},
        "http://hub.test",
        "The proxy http://127.0.0.1:9 (HTTP_PROXY) cannot be reached (the connection was refused)",
        "无法连接代理 http://127.0.0.1:9（HTTP_PROXY）（连接被拒绝）",
        settings=False,
    ),
    "proxy for HTTPS": Wrong(
        {"https_proxy": "http://127.0.0.1:9"},
        "https://hub.test",
        "The proxy http://127.0.0.1:9 (https_proxy) cannot be reached",
        "无法连接代理 http://127.0.0.1:9（https_proxy）",
        settings=False,
    ),
    "SOCKS4": Wrong(
        {"ALL_PROXY": "socks4://127.0.0.1:1080"},
        "http://hub.test",
        "ALL_PROXY names a proxy of the kind 'socks4', which Zhiyin does not speak",
        "ALL_PROXY 指定的代理类型",
        settings=False,
    ),
    "proxy without host": Wrong(
        {"HTTP_PROXY": "http://"},
        "http://hub.test",
        "HTTP_PROXY is no address of a proxy",
        "HTTP_PROXY",
        settings=False,
    ),
    "proxy's name": Wrong(
        {"HTTP_PROXY": "http://no-such-proxy.invalid:3128"},
        "http://hub.test",
        "The proxy http://no-such-proxy.invalid:3128 (HTTP_PROXY) cannot be reached (its name cannot be resolved)",
        "无法连接代理 http://no-such-proxy.invalid:3128（HTTP_PROXY）",
        settings=False,
    ),
    "certificates of nonsense": Wrong(
        {"SSL_CERT_FILE": __file__},
        "https://127.0.0.1:9",
        "which holds no certificates",
        "SSL_CERT_FILE",
        settings=False,
    ),
    "token of two lines": Wrong(
        {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_TOKEN": "hf_a\nX: b"},
        "",
        "The token in HF_TOKEN holds characters that no token has",
        "HF_TOKEN 中的令牌含有令牌不可能有的字符",
        settings=True,
    ),
    "endpoint with a wrong port": Wrong({}, "http://host:99999", "is no address of a Hub", "不是", settings=True),
    "no route": Wrong(
        {},
        "http://224.0.0.1",
        "There is no way from this computer to 224.0.0.1",
        "本机无法到达 224.0.0.1",
        settings=False,
        elsewhere=True,
    ),
    "offline": Wrong(
        {"HF_HUB_OFFLINE": "1"}, "http://127.0.0.1:9", "HF_HUB_OFFLINE forbids fetching it", "禁止下载", settings=False
    ),
}


@pytest.mark.parametrize("language", ["en", "zh_CN"])
@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_said_with_the_button_that_helps(
    open_window: OpenWindow, case: str, language: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = WRONG[case]
    for name, value in wrong.environment.items():
        monkeypatch.setenv(name, value)
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        endpoint = wrong.endpoint.replace("{unused}", str(unused.getsockname()[1]))
        person = open_window(endpoint=endpoint, language=language)
        job = person.services.conversions.start("org/tiny", "Q8_0")
        person.wait(lambda: job.is_over)
    card = person.window.findChild(ConversionCard)
    assert (wrong.english if language == "en" else wrong.chinese) in card._words.text(), card._words.text()
    shown = {button.text() for button in card.findChildren(QPushButton) if button.isVisibleTo(card) and button.text()}
    words = {"en": ("Try again", "Settings"), "zh_CN": ("重试", "设置")}[language]
    hosts = ("huggingface.co", "hf-mirror.com", "modelscope.cn") if wrong.elsewhere else ()
    others = {("Try {}" if language == "en" else "试试 {}").format(host) for host in hosts}
    assert shown == set(words if wrong.settings else words[:1]) | others
    if wrong.settings:
        next(button for button in card.findChildren(QPushButton) if button.text() == words[1]).click()
        assert person.find(NetworkSection)._endpoint.isVisible()
        person.find(SettingsPage).close()


@pytest.fixture
def server() -> Iterator[HubServer]:
    with HubServer() as running:
        running.repositories["org/tiny"] = Repository({"main": {"m-Q8_0.gguf": b"GGUF" * 500_000}})
        yield running


@pytest.mark.parametrize("silent", ["^/api/", "^/cdn/"])
def test_a_silent_host_is_said_and_the_job_is_cancelled(
    open_window: OpenWindow, server: HubServer, silent: str
) -> None:
    part = hostile.head(b"Content-Range: bytes 0-1999999/2000000", status=b"HTTP/1.1 206 Partial Content")
    server.raw[silent] = hostile.slow(server, part + b"GGUF", piece=b"")
    person = open_window(endpoint=server.endpoint)
    job = person.services.conversions.start("org/tiny", "Q8_0")
    card = person.window.findChild(ConversionCard)
    words = "Waiting for the host, which says nothing yet…" if "api" in silent else "nothing comes at the moment"
    person.wait(lambda: words in card._words.text())
    person.services.conversions.cancel(job)
    person.wait(lambda: job.is_over)
    assert job.state == "cancelled"
    assert not server.closing.is_set(), "the host is still silent"


def test_the_dialog_asks_another_host_in_place_and_a_pasted_name_is_kept(
    open_window: OpenWindow, server: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(other_hosts, "MIRROR", server.endpoint)
    person = open_window(endpoint="http://no-such-hub.invalid")
    person.window.add_model()
    add = person.find(AddDialog)
    add.findChild(QLineEdit, "repository").setText("org/tiny")
    person.click("Look", add)
    dialog = person.find(ConversionDialog)
    mirror = f"Try {server.endpoint.removeprefix('http://')}"
    person.wait(lambda: mirror in person.buttons(dialog))
    assert {"Try again", mirror, "Try modelscope.cn", "Try huggingface.co", "Cancel"} == set(person.buttons(dialog))
    dialog.reject()
    person.window.add_model()
    add = next(one for one in person.window.findChildren(AddDialog) if one.isVisible())
    assert add.findChild(QLineEdit, "repository").text() == "org/tiny"
    person.click("Look", add)
    dialog = next(one for one in person.window.findChildren(ConversionDialog) if one.isVisible())
    person.wait(lambda: mirror in person.buttons(dialog))
    person.click(mirror, dialog)
    person.wait(lambda: "Download" in person.buttons(dialog))
    dialog.reject()
