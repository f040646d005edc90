"""The settings of tools: servers are added, imported, tried, switched and removed, with what was allowed of them."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from PySide6.QtWidgets import QApplication, QCheckBox, QLabel, QLineEdit, QPlainTextEdit, QPushButton

from desktop_app.assistant.approvals import remember_allowed
from desktop_app.assistant.mcp.configuration import own_servers
from desktop_app.assistant.tool_settings import add_server
from desktop_app.paths import log_file, mcp_file
from desktop_app.ui.settings.tools_page import ToolsPage
from tests.desktop_app.ui.conftest import OpenWindow
from tests.support.window import run_events

SERVER = Path(__file__).parents[3] / "support" / "mcp_server.py"


@pytest.fixture
def page(application: QApplication, data_home: Path) -> ToolsPage:
    page = ToolsPage()
    page.show()
    yield page
    page.close_threads()
    page.deleteLater()


def click(page: ToolsPage, words: str) -> None:
    next(button for button in page.findChildren(QPushButton) if button.text() == words and button.isVisible()).click()


def wait(condition: object) -> None:
    for _ in range(3000):
        if condition():
            return
        run_events(10)
    raise AssertionError("waited in vain")


def said(page: ToolsPage) -> str:
    return page.findChild(QLabel, "toolsSaid").text()


def tried(page: ToolsPage, name: str) -> str:
    """Return what is said in the row of a server."""
    row = next(box for box in page.findChildren(QCheckBox) if box.text() == name and box.isVisible()).parent().parent()
    return row.findChild(QLabel, "serverSaid").text()


def test_what_a_trial_found_is_said_in_the_row_of_its_server_and_while_it_lasts(page: ToolsPage) -> None:
    add_server("slow", f"{sys.executable} -c 'import time; time.sleep(2)'")
    add_server("last", "/no/such/program")
    page.show_stored()
    run_events(50)
    click(page, "Try")
    assert tried(page, "slow") == "Trying it out…"
    page.show_stored()  # as another server is switched meanwhile
    run_events(50)
    wait(lambda: "The MCP server slow cannot be used" in tried(page, "slow"))
    assert not tried(page, "last")


def test_a_server_is_added_tried_and_removed(page: ToolsPage) -> None:
    name, line = page.findChildren(QLineEdit)
    name.setText("test")
    line.setText(f"{sys.executable} {SERVER} good")
    click(page, "Add")
    wait(own_servers)
    assert own_servers()["test"].args == (str(SERVER), "good")
    assert mcp_file().stat().st_mode & 0o077 == 0
    wait(lambda: any(button.text() == "Try" and button.isVisible() for button in page.findChildren(QPushButton)))
    click(page, "Try")
    wait(lambda: "echo: Says it again." in tried(page, "test"))
    log_file("mcp-test").write_text("what it said", "utf-8")
    click(page, "Log")
    assert "what it said" in page.findChild(QPlainTextEdit).toPlainText()
    remember_allowed(f"test#{own_servers()['test'].digest}/echo")
    page.show_stored()
    run_events(50)
    assert any(button.text() == "Ask again" for button in page.findChildren(QPushButton))
    click(page, "Remove")
    wait(lambda: not own_servers())
    run_events(50)
    assert not [
        button for button in page.findChildren(QPushButton) if button.text() == "Ask again" and button.isVisible()
    ]


def test_servers_of_another_program_come_switched_off(page: ToolsPage, tmp_path: Path) -> None:
    other = tmp_path / "claude_desktop_config.json"
    other.write_text(json.dumps({"mcpServers": {"files": {"command": "npx", "args": ["-y", "x"]}}}), "utf-8")
    page.import_file(str(other))
    wait(lambda: "files" in said(page))
    assert own_servers()["files"].disabled
    page.import_file(str(other))
    wait(lambda: "not here already" in said(page))
    assert list(own_servers()) == ["files"]
    next(box for box in page.findChildren(QCheckBox) if box.text() == "files").click()
    wait(lambda: not own_servers()["files"].disabled)
    page.import_file(str(tmp_path / "missing.json"))
    wait(lambda: "missing.json" in said(page))


def test_what_is_no_server_is_refused(page: ToolsPage) -> None:
    name, line = page.findChildren(QLineEdit)
    for wrong in ("", 'program "half'):
        name.setText("x")
        line.setText(wrong)
        click(page, "Add")
        wait(lambda: "either a program or an http address" in said(page))
    assert not own_servers()


def test_a_section_of_the_settings_lists_the_servers(open_window: OpenWindow) -> None:
    person = open_window()
    person.window.open_settings("tools")
    page = person.find(ToolsPage)
    assert page.isVisible()
    name, line = page.findChildren(QLineEdit)
    name.setText("test")
    line.setText(f"{sys.executable} {SERVER} good")
    click(page, "Add")
    wait(own_servers)
    person.window.new_chat()
    run_events(20)
    assert not person.window.findChildren(ToolsPage)
    person.window.open_settings("tools")
    assert person.find(ToolsPage).isVisible()
