"""What all visitors of the page share: one network, the styles that it has encoded, and a folder for their files."""

from __future__ import annotations

import threading
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING

from stylecli.app.session import Session
from stylecli.errors import StylizeError
from stylecli.paint.options import LoadOptions
from stylecli.run.painters import resolve
from stylecli.run.style_specs import StyleSpec

if TYPE_CHECKING:
    from stylecli.media import Picture
    from stylecli.paint.stylizer import Stylizer

_SESSIONS = 32  # of visitors whose pictures are kept
_STYLES = 128  # encoded, a few kilobytes each
_RETURN_S = 600.0  # a phone that looks at something else drops its connection, and comes back


class Studio:
    """``folder``: for all that visitors bring and get, removed by whoever made it. Raises as loading a network does."""

    def __init__(self, loading: LoadOptions, folder: Path) -> None:
        self.loading, self.folder = loading, folder
        self.stylizer = loading.load()
        self.painting = threading.Lock()  # one preview at a time: two would share the same cores
        self._encoded: OrderedDict[str, Stylizer] = OrderedDict()
        self._sessions: OrderedDict[str, Session] = OrderedDict()
        self._leaving: dict[str, threading.Timer] = {}
        self._guard = threading.RLock()

    def bound(self, spec: StyleSpec) -> Stylizer:
        """The network with a style in hand, encoded once. Raises UsageError for a picture that cannot be read."""
        known = spec.fingerprint()
        with self._guard:
            found = self._encoded.get(known)
        if found is None:
            with self.painting:
                found = resolve(self.stylizer, spec, _read)
            with self._guard:
                self._encoded[known] = found
                if len(self._encoded) > _STYLES:
                    self._encoded.popitem(last=False)
        return found

    def warm(self) -> None:
        """Encode the ready styles before anybody asks for them, in a thread of its own."""
        threading.Thread(target=self._warm, name="warm", daemon=True).start()

    def _warm(self) -> None:
        from stylecli.app.choice import Chosen, ready_names

        for name in ready_names():
            try:
                self.bound(Chosen.ready(name).spec)
            except StylizeError:
                continue  # who asks for it is told

    def session(self, key: str) -> Session:
        """The visitor's own; the one that was away longest makes room for a new one."""
        with self._guard:
            timer = self._leaving.pop(key, None)
            if timer is not None:
                timer.cancel()
            if key not in self._sessions:
                self._sessions[key] = Session(self)
            self._sessions.move_to_end(key)
            gone = self._sessions.popitem(last=False)[1] if len(self._sessions) > _SESSIONS else None
            found = self._sessions[key]
        if gone is not None:
            gone.close()
        return found

    def leave(self, key: str, after: float = _RETURN_S) -> None:
        """The visitor has closed the page: stop the work at once, and ``after`` a while remove the pictures."""
        with self._guard:
            session = self._sessions.get(key)
            if session is None:
                return
            timer = self._leaving[key] = threading.Timer(after, self._forget, (key,))
            timer.daemon = True
        session.stop()
        timer.start()

    def _forget(self, key: str) -> None:
        with self._guard:
            if self._leaving.pop(key, None) is None:
                return  # is back
            session = self._sessions.pop(key, None)
        if session is not None:
            session.close()

    def close(self) -> None:
        """Stop everybody's work."""
        with self._guard:
            sessions = [*self._sessions.values()]
            self._sessions.clear()
        for session in sessions:
            session.stop()
        for session in sessions:
            session.close()


def _read(path: Path) -> Picture:
    from stylecli.media import read_picture

    return read_picture(path, name=path.name)
