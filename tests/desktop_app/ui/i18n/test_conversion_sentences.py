"""What the core really says about conversions and downloads comes out in Chinese, and names the window's ways out."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtWidgets import QApplication

from converter import pipeline
from converter.hub import repository as hub
from converter.hub.repository import download, preview
from converter.hub.request import DownloadRequest
from converter.pipeline import ConvertRequest, convert
from desktop_app.library.install import InstallRequest
from desktop_app.library.source_facts import facts_of
from desktop_app.ui.i18n.sentences import translated
from desktop_app.ui.i18n.translate import LanguageKeeper
from models.errors import ZhiyinError
from tests.converter.checkpoint.test_single_files import HELD
from tests.desktop_app.ui.i18n.test_translations import CHINESE, OF_THE_TERMINAL
from tests.desktop_app.ui.models.test_conversions import checkpoint, publish
from tests.support.hub_server import HubServer
from tests.support.torch_files import write_torch


@pytest.fixture(autouse=True)
def chinese(application: QApplication) -> Iterator[None]:
    languages = LanguageKeeper()
    languages.choose("zh_CN")
    yield
    languages.close()


def check(error: ZhiyinError) -> None:
    words = translated(error)
    assert CHINESE.search(words), words
    assert not [option for option in OF_THE_TERMINAL if option in words]


def test_sentences_about_downloads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with HubServer() as server, socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        publish(server, "a/tea", checkpoint(tmp_path / "tea"))
        request = DownloadRequest("a/tea", tmp_path, endpoint=server.endpoint)

        def refused(**changes: str) -> None:
            wanted = DownloadRequest(
                **{"repository": "a/tea", "downloads": tmp_path, "endpoint": server.endpoint} | changes
            )
            with pytest.raises(ZhiyinError) as caught:
                preview(wanted)
            check(caught.value)

        refused(repository="a/nothing")
        refused(revision="v9")
        refused(endpoint=f"http://127.0.0.1:{unused.getsockname()[1]}")
        refused(endpoint="ftp://host")
        server.repositories["a/tea"].gated = True
        refused()
        monkeypatch.setenv("HF_ENDPOINT", server.endpoint)
        refused()
        monkeypatch.setenv("HF_TOKEN", "hf_of_another")
        refused()
        server.repositories["a/tea"].gated = False
        server.faults.wrong_bytes = "model.safetensors"
        with pytest.raises(ZhiyinError) as caught:
            download(request)
        check(caught.value)
        usage = shutil.disk_usage(tmp_path)
        monkeypatch.setattr(hub.shutil, "disk_usage", lambda _: usage._replace(free=0))
        with pytest.raises(ZhiyinError) as caught:
            download(request)
        check(caught.value)


def test_sentences_about_conversions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = checkpoint(tmp_path / "tea")
    usage = shutil.disk_usage(tmp_path)
    with monkeypatch.context() as full:
        full.setattr(pipeline.shutil, "disk_usage", lambda _: usage._replace(free=0))
        with pytest.raises(ZhiyinError) as caught:
            convert(ConvertRequest(source, tmp_path / "tea.gguf"))
        check(caught.value)
    (source / "tokenizer.model").unlink()
    with pytest.raises(ZhiyinError) as caught:
        facts_of(InstallRequest(source))
    check(caught.value)


@pytest.mark.parametrize("held", HELD)
def test_sentences_about_single_files(held: str, tmp_path: Path) -> None:
    write_torch(tmp_path / "x.pth", HELD[held][0])
    with pytest.raises(ZhiyinError) as caught:
        facts_of(InstallRequest(tmp_path / "x.pth"))
    check(caught.value)
