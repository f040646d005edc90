"""Settings: whether Zhiyin may connect, and from where models are downloaded."""

from __future__ import annotations

from PySide6.QtGui import QHideEvent
from PySide6.QtWidgets import QComboBox, QLabel, QLineEdit

from converter.hub.address import HUB, MODELSCOPE, origin, usual_endpoint
from desktop_app.engine.workers import WorkerFailed, read_workers
from desktop_app.library.hub_tokens import KeptToken
from desktop_app.library.other_hosts import MIRROR
from desktop_app.network import POSITIONS, read_networks
from desktop_app.settings import Settings
from desktop_app.ui.bridges.tokens_bridge import TokensBridge
from desktop_app.ui.i18n.sentences import translated, without_marks
from desktop_app.ui.models.download_limits import limit_words, limits
from desktop_app.ui.settings.section import Section, name_values
from desktop_app.ui.widgets.enabling import enable
from models.errors import ZhiyinError


class NetworkSection(Section):
    """The offline switch, the address of downloads and its token."""

    def __init__(self, settings: Settings, tokens: TokensBridge) -> None:
        """Show the settings as they are."""
        super().__init__(settings)
        self._tokens = tokens
        self._where = settings.endpoint
        """The address whose token is shown."""
        self._kept = KeptToken()
        self._written = False
        """The user wrote in the field since its token was kept."""
        self._network = self.add_choice("network", POSITIONS)
        self._own = QLineEdit(settings.own_networks)
        self._own.setObjectName("ownNetworks")
        self._own.editingFinished.connect(self._keep_networks)
        self.add_field(self._own)
        self._workers = QLineEdit(settings.workers)
        self._workers.setObjectName("workers")
        self._workers.editingFinished.connect(self._keep_workers)
        self.add_field(self._workers)
        self._workers_hint = QLabel(wordWrap=True)
        self._workers_hint.setObjectName("muted")
        self._own_hint = QLabel(wordWrap=True)
        self._own_hint.setObjectName("muted")
        self._endpoint = self._endpoint_box()
        self.add_field(self._endpoint)
        self._token = QLineEdit(echoMode=QLineEdit.EchoMode.Password)
        self._token.setObjectName("token")
        self.add_field(self._token)
        self._limits = limits(settings.download_limit)
        self._limit = self.add_choice("download_limit", self._limits)
        self._token.textChanged.connect(self._note_writing)
        self._token.editingFinished.connect(self._keep_token)
        self._place, self._hint = self.add_hint(), self.add_hint()
        self._show_token()
        self.add_below(self._own_hint)
        self.add_below(self._workers_hint)
        self.retranslate()

    def retranslate(self) -> None:
        """Write every word again."""
        self.name_field(self._network, self.tr("Connections"))
        self.name_field(self._own, self.tr("My own networks"))
        self._own.setPlaceholderText("192.168.1.0/24")
        self._show_networks(None)
        self.name_field(self._workers, self.tr("Workers"))
        self._workers.setPlaceholderText("192.168.1.5:50052")
        self._show_workers(None)
        self.name_field(self._endpoint, self.tr("Download from"))
        self.name_field(self._token, self.tr("Access token"))
        name_values(
            self._network,
            [
                self.tr("Also to look for newer models, and as I type"),
                self.tr("Only for what I ask for"),
                self.tr("None: offline"),
            ],
        )
        self.name_field(self._limit, self.tr("Speed of downloads"))
        name_values(self._limit, limit_words(self._limits))
        self._token.setPlaceholderText(self.tr("Only for gated or private models"))
        self._hint.setText(
            self.tr(
                "Where Hugging Face cannot be reached, choose a mirror or ModelScope, or write another address. The token "
                "is sent to this address only; each address has its own. HF_TOKEN, MODELSCOPE_API_TOKEN and a login of "
                "huggingface-cli go before it."
            )
        )
        self._say_where()

    def _keep_networks(self) -> None:
        try:
            networks = ", ".join(map(str, read_networks(self._own.text())))
        except ZhiyinError as error:
            self._show_networks(error)
            return
        self._show_networks(None)
        if networks != self._settings.own_networks:
            self.store("own_networks", networks)

    def _keep_workers(self) -> None:
        try:
            workers = ", ".join(read_workers(self._workers.text()))
        except WorkerFailed as error:
            self._show_workers(error)
            return
        self._show_workers(None)
        if workers != self._settings.workers:
            self.store("workers", workers)

    def _show_workers(self, error: WorkerFailed | None) -> None:
        self._workers_hint.setText(
            without_marks(
                self.tr(
                    "Workers are computers of yours where `zhiyin worker` runs: their memory is used for models too. What they "
                    "compute is sent to them without encryption."
                )
            )
            if error is None
            else translated(error)
        )

    def _show_networks(self, error: ZhiyinError | None) -> None:
        self._own_hint.setText(
            self.tr(
                "Offline, models on computers in these networks can be used too, if their addresses are numbers, as 192.168.1.5."
            )
            if error is None
            else translated(error)
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

    def hideEvent(self, event: QHideEvent) -> None:  # noqa: N802  (Qt's name)
        """Keep what was written."""
        super().hideEvent(event)
        self._keep_token()

    def _show_token(self) -> None:
        """Show the token of the address that is set: another one's never goes there."""
        self._keep_token()
        self._where = endpoint = self._settings.endpoint
        self._show_kept(KeptToken())
        is_none = bool(endpoint) and not origin(endpoint)
        enable(self._token, {self.tr("The address above is none, so that no token can belong to it."): is_none})
        self._tokens.find(endpoint, self, lambda kept: self._found(endpoint, kept))

    def _found(self, endpoint: str, kept: KeptToken) -> None:
        if endpoint == self._where and not self._written:
            self._show_kept(kept)

    def _show_kept(self, kept: KeptToken) -> None:
        self._kept = kept
        self._token.blockSignals(True)
        self._token.setText(kept.token)
        self._token.blockSignals(False)
        self._say_where()

    def _say_where(self) -> None:
        if self._kept.in_file:
            words = self.tr(
                "This computer has no keyring that Zhiyin can use, so the token lies in a file that only you can read."
            )
        else:
            words = self.tr("The token is in this computer's keyring.") if self._kept.token else ""
        self._place.setText(words)
        self._place.setVisible(bool(words))

    def _note_writing(self) -> None:
        self._written = True

    def _keep_token(self) -> None:
        """Keep what was written; where it lies is said once it does."""
        if not self._written:
            return
        self._written = False
        endpoint = self._where
        self._tokens.keep(endpoint, self._token.text().strip())
        self._tokens.find(endpoint, self, lambda kept: self._found(endpoint, kept))
