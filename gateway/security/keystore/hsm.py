"""Tokens of a hardware security module by PKCS #11: a session of each, opened anew where it was lost.

The binding begins a token's library without its locks, so that of one process one thread at a time may be
inside: a process has one session, and more under way at once come from more processes.  The library is
loaded by the process that uses it: nothing is opened before a fork.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from gateway.security.keystore.files import KeyUnusable, read_secret
from gateway.security.keystore.token import TokenUri

WAIT_SECONDS = 10.0
"""For the token's turn; one that is this busy is as good as away."""
PAUSE_SECONDS = 1.0
"""Between attempts to reach a token that is away: what needs it meanwhile fails at once."""

T = TypeVar("T")


class TokenAway(KeyUnusable):
    """The token is not there, or does not answer.  It may be back soon: what needs it can be tried again."""


class Session:
    """An open session, and the keys that were found in it."""

    def __init__(self, raw: Any) -> None:
        self.raw = raw
        self._keys: dict[object, Any] = {}

    def key(self, uri: TokenUri, kind: Any) -> Any:
        """The one object of a kind that the URI names."""
        if (uri, kind) not in self._keys:
            attributes = binding().Attribute
            wanted = {attributes.CLASS: kind}
            wanted |= {attributes.LABEL: uri.object} if uri.object else {}
            wanted |= {attributes.ID: uri.id} if uri.id else {}
            found = list(self.raw.get_objects(wanted))
            if len(found) != 1:
                raise _NotFound(len(found))
            self._keys[uri, kind] = found[0]
        return self._keys[uri, kind]


class _NotFound(Exception):
    """Not one object, but so many."""


class _Module:
    """A token's library in this process.  ``era`` counts how often it was begun anew."""

    def __init__(self, path: str) -> None:
        self.turn = threading.RLock()
        self.era = 0
        self._path = path

    def load(self) -> Any:
        """The library.  Raises KeyUnusable."""
        if not Path(self._path).is_file():
            raise KeyUnusable(f"{self._path}: no such file; module-path names the token's PKCS #11 library")
        library = binding()
        try:
            return library.lib(self._path)
        except library.PKCS11Error as error:
            if type(error) is not library.PKCS11Error:  # it is one, and its device is away
                raise _Lost(f"{self._path} does not begin: {type(error).__name__}") from None
            raise KeyUnusable(f"{self._path}: no usable PKCS #11 library") from None

    def renew(self) -> None:
        """Begin anew: that is how most libraries find tokens again that went away."""
        self.era += 1
        try:
            self.load().reinitialize()
        except (binding().PKCS11Error, _Lost):
            return  # the next attempt finds out


class Token:
    """One token as this process uses it.  ``folder``: what a relative pin-source is relative to."""

    def __init__(self, uri: TokenUri, folder: Path) -> None:
        self._uri = uri
        self._folder = folder
        self._module = _module(uri.module)
        self._session: tuple[int, Session] | None = None
        self._refused = b""
        self._again_at = 0.0
        self._why = ""

    @property
    def name(self) -> str:
        """As messages name it."""
        return repr(self._uri.token or self._uri.serial or self._uri.module)

    def run(self, work: Callable[[Session], T], *, writing: bool = False) -> T:
        """What ``work`` makes of a session; once more in a new one where the token lost the old.

        Raises TokenAway, KeyUnusable, and ValueError where the token refuses what it was given.
        """
        if not self._module.turn.acquire(timeout=WAIT_SECONDS):
            raise TokenAway(f"the token {self.name} is busy")
        try:
            if time.monotonic() < self._again_at:
                raise TokenAway(self._why)
            try:
                return self._once(work, writing)
            except (_Lost, _NotFound):
                self._module.renew()
            return self._last(work, writing)
        finally:
            self._module.turn.release()

    def _last(self, work: Callable[[Session], T], writing: bool) -> T:
        try:
            return self._once(work, writing)
        except _NotFound as missing:
            many = "more than one key" if missing.args[0] else "no key"
            raise KeyUnusable(f"the token {self.name} has {many} of the name in its URI") from None
        except _Lost as lost:
            self._why, self._again_at = str(lost), time.monotonic() + PAUSE_SECONDS
            raise TokenAway(self._why) from None

    def _once(self, work: Callable[[Session], T], writing: bool) -> T:
        library = binding()
        try:
            session = self._open()
            if writing:
                with session.raw.token.open(rw=True) as raw:
                    return work(Session(raw))
            return work(session)
        except _unable(library):
            raise KeyUnusable(f"the token {self.name} does not do this operation") from None
        except (library.DataLenRange, library.EncryptedDataInvalid, library.EncryptedDataLenRange):
            raise ValueError("the token refused what it was given") from None
        except library.PKCS11Error as error:
            raise _Lost(f"the token {self.name} fails: {type(error).__name__}") from None

    def _open(self) -> Session:
        if self._session is None or self._session[0] != self._module.era:
            module = self._module.load()
            self._session = self._module.era, Session(self._log_in(self._find(module)))
        return self._session[1]

    def _log_in(self, token: Any) -> Any:
        library, pin = binding(), self._pin()
        try:
            return token.open(user_pin=pin)
        except library.UserAlreadyLoggedIn:
            return token.open()
        except (library.PinIncorrect, library.PinLenRange, library.PinInvalid):
            said = f"refuses the PIN of {self._uri.pin_source}: mend that file"
        except (library.PinLocked, library.PinExpired, library.UserPinNotInitialized) as error:
            states = {"PinLocked": "is locked", "PinExpired": "has expired"}
            state = states.get(type(error).__name__, "is not set")
            said = f"is shut, as its PIN {state}: set it anew with the token's own tool"
        # Asked again and again with a wrong PIN, a token locks itself: this one is not tried again.
        self._refused = _digest(pin)
        self._why = f"the token {self.name} {said}"
        raise KeyUnusable(self._why)

    def _pin(self) -> str:
        if not self._uri.pin_source:
            raise KeyUnusable(
                "the key's URI has no pin-source: put the PIN into a file (mode 0600), name that"
            )
        pin = read_secret(self._uri.pin_source, self._folder)
        if _digest(pin) == self._refused:
            raise KeyUnusable(self._why)
        return pin

    def _find(self, module: Any) -> Any:
        fitting = [token for token in module.get_tokens() if self._fits(token)]
        if not fitting:
            raise _Lost(f"the token {self.name} is not there ({self._uri.module})")
        if len(fitting) > 1:
            raise KeyUnusable(f"more than one token fits {self.name}: add serial= or slot-id= to the URI")
        return fitting[0]

    def _fits(self, token: Any) -> bool:
        uri = self._uri
        return (
            (not uri.token or token.label == uri.token)
            and (not uri.serial or token.serial.decode("ascii", "replace").strip() == uri.serial)
            and (not uri.manufacturer or token.manufacturer_id == uri.manufacturer)
            and (not uri.model or token.model == uri.model)
            and (uri.slot is None or token.slot.slot_id == uri.slot)
        )


def _unable(library: Any) -> tuple[type[Exception], ...]:
    return (
        library.MechanismInvalid,
        library.MechanismParamInvalid,
        library.FunctionNotSupported,
        library.ArgumentsBad,
        library.KeySizeRange,
        library.KeyTypeInconsistent,
    )


class _Lost(Exception):
    """The token's library failed; it may work when begun anew."""


def _digest(pin: str) -> bytes:
    return hashlib.sha256(pin.encode()).digest()


def binding() -> Any:
    """The PKCS #11 binding, loaded by who uses a token only.  Raises KeyUnusable where it is missing."""
    try:
        import pkcs11
    except ImportError:
        raise KeyUnusable("keys in tokens need python-pkcs11: pip install 'cvan-gateway[hsm]'") from None
    return pkcs11


_lock = threading.Lock()
_modules: dict[str, _Module] = {}
_opened: dict[tuple[object, ...], Token] = {}


def _module(path: str) -> _Module:
    return _modules.setdefault(path, _Module(path))


def token_of(uri: TokenUri, folder: Path) -> Token:
    """The process's one view of a token: all its keys share the login and the sessions."""
    which = (uri.module, uri.token, uri.serial, uri.manufacturer, uri.model, uri.slot, uri.pin_source, folder)
    with _lock:
        if which not in _opened:
            _opened[which] = Token(uri, folder)
        return _opened[which]
