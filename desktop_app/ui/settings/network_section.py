"""Settings: whether Zhiyin may connect, and from where models are downloaded."""

from __future__ import annotations

from PySide6.QtWidgets import QComboBox, QLineEdit

from converter.hub.address import HUB, MODELSCOPE, origin, usual_endpoint
from desktop_app.library.hub_tokens import keep_token, token_at
from desktop_app.library.other_hosts import MIRROR
from desktop_app.network import ASKED, OFFLINE
from desktop_app.settings import Settings
from desktop_app.ui.settings.section import Section, name_values


class NetworkSection(Section):
    """The offline switch, the address of downloads and its token."""

    def __init__(self, settings: Settings) -> None:
        """Show the settings as they are."""
        super().__init__(settings)
        self._network = self.add_choice("network", [ASKED, OFFLINE])
        self._endpoint = self._endpoint_box()
        self.add_field(self._endpoint)
        self._token = QLineEdit(echoMode=QLineEdit.EchoMode.Password)
        self._token.setObjectName("token")
        self.add_field(self._token)
        self._show_token()
        self._token.textChanged.connect(self._keep_token)
        self._hint = self.add_hint()
        self.retranslate()

    def retranslate(self) -> None:
        """Write every word again."""
        self.name_field(self._network, self.tr("Connections"))
        self.name_field(self._endpoint, self.tr("Download from"))
        self.name_field(self._token, self.tr("Access token"))
        name_values(self._network, [self.tr("Only for what I ask for"), self.tr("None: offline")])
        self._token.setPlaceholderText(self.tr("Only for gated or private models"))
        self._hint.setText(
            self.tr(
                "Where Hugging Face cannot be reached, choose a mirror or ModelScope, or write another address. The token "
                "is sent to this address only; each address has its own."
            )
        )

    def _endpoint_box(self) -> QComboBox:
        usual = usual_endpoint()
        box = QComboBox(
            editable=True, sizeAdjustPolicy=QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )
        box.addItems(list(dict.fromkeys((usual, HUB, MIRROR, MODELSCOPE))))
        box.setCurrentText(self._settings.endpoint or usual)

        def chosen(text: str) -> None:
            address = text.strip().rstrip("/")
            named = address if "://" in address or not address else f"https://{address}"
            self.store("endpoint", "" if named == usual else named)
            self._show_token()

        box.currentTextChanged.connect(chosen)
        return box

    def _show_token(self) -> None:
        """Show the token of the address that is set: another one's never goes there."""
        endpoint = self._settings.endpoint
        self._token.setText(token_at(self._settings, endpoint))
        self._token.setEnabled(not endpoint or bool(origin(endpoint)))

    def _keep_token(self, text: str) -> None:
        keep_token(self._settings, self._settings.endpoint, text.strip())
        self.changed.emit("tokens")
