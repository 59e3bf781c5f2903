"""The master key in a PKCS #11 token: wraps and unwraps there, and is never given out.

Needs the extra ``pkcs11`` (python-pkcs11) and the token's own module. The token is asked once for each month's key and at each
start of the service, so a slow one is no matter; one that is away keeps new months' keys and restarts from working, not reads.

The key that is wrapped passes through this process's memory, and through the token as an object of one session.

Source: PKCS #11 v2.40, C_WrapKey with CKM_AES_KEY_WRAP; docs/formats/store.md section "Encrypted objects".
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from evidence.errors import ConfigError, KeyUnavailableError
from storage.master_keys import KEY_BYTES, WRAPPED_BYTES, master_id

if TYPE_CHECKING:
    import pkcs11

#: One log-in to a token at a time: it is the process that is logged in, not a session.
_ONE_AT_A_TIME = threading.Lock()


class Pkcs11Master:
    """A master key in a token.

    Args:
        module: Path of the token's PKCS #11 module (``libsofthsm2.so``).
        token: Label of the token.
        label: Label of the AES key in it (made by :meth:`create`, or by the token's own tools: it must wrap and unwrap).
        pin: The user's PIN.

    Raises:
        ConfigError: python-pkcs11 is not installed, or the module cannot be loaded.
        KeyUnavailableError: No such token or key, a wrong PIN, a key that does not wrap.
    """

    def __init__(self, module: str, token: str, label: str, pin: str) -> None:
        self._library = _load(module)
        self._token, self._label, self._pin = token, label, pin
        self._id = master_id(self.wrap)

    def __repr__(self) -> str:
        """Only the identity."""
        return f"Pkcs11Master({self._id})"

    @classmethod
    def create(cls, module: str, token: str, label: str, pin: str) -> Pkcs11Master:
        """Make an AES-256 key in the token that wraps and unwraps and cannot be taken out.

        Raises:
            KeyUnavailableError: A key of that label is there already, or the token refuses.
        """
        import pkcs11  # noqa: PLC0415 - an extra that need not be there

        with _session(_load(module), token, pin, write=True) as session:
            found = list(session.get_objects({pkcs11.Attribute.CLASS: pkcs11.ObjectClass.SECRET_KEY,
                                              pkcs11.Attribute.LABEL: label}))  # fmt: skip
            if found:
                raise KeyUnavailableError(f"the token has a key {label} already", kept="It was not touched.")
            session.generate_key(
                pkcs11.KeyType.AES,
                KEY_BYTES * 8,
                label=label,
                store=True,
                template={
                    pkcs11.Attribute.SENSITIVE: True,
                    pkcs11.Attribute.EXTRACTABLE: False,
                    pkcs11.Attribute.WRAP: True,
                    pkcs11.Attribute.UNWRAP: True,
                    pkcs11.Attribute.ENCRYPT: False,
                    pkcs11.Attribute.DECRYPT: False,
                },
            )
        return cls(module, token, label, pin)

    @property
    def id(self) -> str:
        """Who it is."""
        return self._id

    @property
    def kind(self) -> str:
        """``pkcs11``."""
        return "pkcs11"

    def wrap(self, key: bytes) -> bytes:
        """40 bytes that only this master opens; KeyUnavailableError when the token does not answer or refuses."""
        import pkcs11  # noqa: PLC0415 - an extra that need not be there

        if len(key) != KEY_BYTES:
            raise KeyUnavailableError(f"only keys of {KEY_BYTES} bytes are wrapped")
        with self._master() as (session, master):
            given = session.create_object(
                {
                    pkcs11.Attribute.CLASS: pkcs11.ObjectClass.SECRET_KEY,
                    pkcs11.Attribute.KEY_TYPE: pkcs11.KeyType.AES,
                    pkcs11.Attribute.VALUE: key,
                    **_passing(),
                }
            )
            try:
                return bytes(master.wrap_key(given, mechanism=pkcs11.Mechanism.AES_KEY_WRAP))
            finally:
                given.destroy()

    def unwrap(self, wrapped: bytes) -> bytes:
        """The key; KeyUnavailableError when another master wrapped it, it was changed, or the token does not answer."""
        import pkcs11  # noqa: PLC0415 - an extra that need not be there

        if len(wrapped) != WRAPPED_BYTES:
            raise KeyUnavailableError(f"this is not a key of master {self._id}")
        with self._master() as (_, master):
            opened = master.unwrap_key(
                pkcs11.ObjectClass.SECRET_KEY,
                pkcs11.KeyType.AES,
                wrapped,
                mechanism=pkcs11.Mechanism.AES_KEY_WRAP,
                template=_passing(),
            )
            try:
                return bytes(opened[pkcs11.Attribute.VALUE])
            finally:
                opened.destroy()

    def export(self) -> bytes | None:
        """None: the token keeps it; its own backup must do."""
        return None

    @contextlib.contextmanager
    def _master(self) -> Iterator[tuple[Any, Any]]:
        import pkcs11  # noqa: PLC0415 - an extra that need not be there

        with _session(self._library, self._token, self._pin) as session:
            yield session, session.get_key(object_class=pkcs11.ObjectClass.SECRET_KEY, label=self._label)


def _passing() -> dict[pkcs11.Attribute, bool]:
    """An object of one session whose value may be read: the key that passes through."""
    import pkcs11  # noqa: PLC0415 - an extra that need not be there

    return {
        pkcs11.Attribute.TOKEN: False,
        pkcs11.Attribute.SENSITIVE: False,
        pkcs11.Attribute.EXTRACTABLE: True,
    }


def _load(module: str) -> Any:
    try:
        import pkcs11  # noqa: PLC0415 - an extra that need not be there
    except ImportError as error:
        raise ConfigError("tokens need python-pkcs11", todo="Install the extra pkcs11.") from error
    try:
        return pkcs11.lib(module)
    except (pkcs11.PKCS11Error, OSError, RuntimeError) as error:
        raise ConfigError(f"cannot load the token's module {module[:200]!r}") from error


@contextlib.contextmanager
def _session(library: Any, token: str, pin: str, *, write: bool = False) -> Iterator[Any]:
    import pkcs11  # noqa: PLC0415 - an extra that need not be there

    with _ONE_AT_A_TIME:
        try:
            with library.get_token(token_label=token).open(rw=write, user_pin=pin) as session:
                yield session
        except pkcs11.PKCS11Error as error:
            raise KeyUnavailableError(
                f"token {token[:64]!r} does not do it ({type(error).__name__})",
                kept="The ciphertext is untouched.",
                todo="Check that the token is there, its PIN, and the label of its key.",
            ) from error
