"""Personal data: sealed with a key per party, so that destroying the key erases the data and nothing else.

A master key (a file or the environment, never the database) wraps the keys; a deployment's own secret, wrapped
likewise, keys the fingerprints by which repeats are told and the hashes by which identity documents are
found. AES-256-GCM seals, RFC 3394 wraps, HKDF-SHA-256 derives; all from `cryptography`.
"""

import base64
import binascii
import hashlib
import hmac
import os
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap

from domain.events.envelope import Event
from domain.events.fields import Personal, is_sealed, parse_personal
from domain.ledger.keyfiles import made_once, sync, written_beside

KEY_BYTES = 32
NONCE_BYTES = 12
KEY_CACHE_MAX = 20_000  # unwrapped keys kept in memory: some 3 MB
HASHED_FIELD = "id_hash"
"""The one field that is also found by its keyed hash."""


class VaultError(Exception):
    """A key is missing, wrong or destroyed: one line that says which and what would be right."""


class MasterKey:
    """The key that wraps the others. It never leaves the memory of the processes that work for one command.

    `old` is the one whose place it is taking, as long as that is under way: it unwraps, and wraps nothing any more.
    """

    def __init__(self, key: bytes, old: "MasterKey | None" = None) -> None:
        if len(key) != KEY_BYTES:
            raise VaultError(f"the master key should be {KEY_BYTES} bytes in base64, it has {len(key)}")
        self._key = key
        self.old = old
        self.id = hashlib.sha256(b"recount master key 1\n" + key).hexdigest()[:16]
        """By which it is told from others: a digest, no secret."""

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of what it unwraps."""
        return (self.id,) if self.old is None else (self.id, *self.old.ids)

    @property
    def text(self) -> str:
        """The key in base64, as a file holds it."""
        return base64.b64encode(self._key).decode("ascii")

    def inside(self, other: "MasterKey") -> bytes:
        """Return this key wrapped by another master key."""
        return other.wrap(self._key)

    def opened(self, wrapped: bytes) -> "MasterKey":
        """Return another master key that this one wraps; raises VaultError where it does not."""
        return MasterKey(self.unwrap(wrapped))

    def taking_over(self, old: "MasterKey") -> "MasterKey":
        """Return this key with the one whose place it is taking."""
        return MasterKey(self._key, old)

    @classmethod
    def parse(cls, text: str, where: str) -> "MasterKey":
        """Return the key of base64 text; raises VaultError that names where it came from."""
        try:
            return cls(base64.b64decode(text.strip(), validate=True))
        except (binascii.Error, ValueError, VaultError):
            raise VaultError(
                f"{where}: should hold {KEY_BYTES} random bytes in base64 (head -c 32 /dev/urandom | base64)"
            ) from None

    @classmethod
    def read(cls, path: Path) -> "MasterKey":
        """Return the key a file holds; raises VaultError where it can't be read or is no key."""
        try:
            return cls.parse(path.read_text(encoding="ascii"), str(path))
        except (OSError, UnicodeDecodeError) as error:
            raise VaultError(f"the master key file {path} can't be read: {error}") from error

    @classmethod
    def make(cls, path: Path) -> "MasterKey":
        """Make a new key in a file only its owner may read, safe on disk before it is used."""
        made_once(path, cls(os.urandom(KEY_BYTES)).text)
        return cls.read(path)

    def put(self, path: Path) -> None:
        """Put this key where another one stood, which stays beside it: backups made until now need it."""
        if path.exists() and self.read(path).id != self.id:
            kept = path.with_name(f"{path.name}.{self.read(path).id}")
            if not kept.exists():
                os.link(path, kept)
        written_beside(path, self.text).replace(path)
        sync(path.parent)

    def wrap(self, key: bytes) -> bytes:
        """Return a key wrapped (RFC 3394)."""
        return aes_key_wrap(self._key, key)

    def unwrap(self, wrapped: bytes) -> bytes:
        """Return a wrapped key; raises VaultError where another master key wrapped it."""
        try:
            return aes_key_unwrap(self._key, wrapped)
        except (InvalidUnwrap, ValueError):
            if self.old is not None:
                return self.old.unwrap(wrapped)
            raise VaultError(
                "the master key is not the one this deployment's keys were wrapped with"
            ) from None


class Secrets:
    """What the deployment's secret is good for."""

    def __init__(self, secret: bytes) -> None:
        self.secret = secret
        self._fingerprints = _Keyed(_derive(secret, b"recount fingerprint"))
        self._identities = _derive(secret, b"recount identity hash")
        self._key_lines = _derive(secret, b"recount key line")

    def fingerprint(self, canonical: bytes) -> bytes:
        """Return the keyed digest (32 bytes) of an event's canonical bytes as it arrived, in clear."""
        return self._fingerprints.digest(canonical)

    def key_line(self, *parts: str) -> str:
        """Return what proves that a sealed export's key line is this deployment's, in hex."""
        text = b"".join(len(part).to_bytes(4, "big") + part.encode() for part in parts)
        return hmac.digest(self._key_lines, text, hashlib.sha256).hex()

    def identity_hash(self, id_hash: str) -> str:
        """Return an identity document's hash keyed again, in hex."""
        return hmac.digest(self._identities, id_hash.encode(), hashlib.sha256).hex()


class _Keyed:
    """HMAC-SHA-256 under one key, whose own part is hashed once: half of what it takes for an event.

    RFC 2104 by hand: `hmac.digest` and copies of its objects set up OpenSSL's contexts anew for each message.
    """

    def __init__(self, key: bytes) -> None:
        block = key.ljust(hashlib.sha256().block_size, b"\0")
        self._inner = hashlib.sha256(bytes(b ^ 0x36 for b in block))
        self._outer = hashlib.sha256(bytes(b ^ 0x5C for b in block))

    def digest(self, message: bytes) -> bytes:
        """Return what `hmac.digest` returns."""
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(message)
        outer.update(inner.digest())
        return outer.digest()


def _derive(secret: bytes, purpose: bytes) -> bytes:
    return HKDF(SHA256(), KEY_BYTES, salt=None, info=purpose).derive(secret)


class KeyStore(Protocol):
    """Where wrapped keys are kept."""

    def of_owners(self, owners: Iterable[str]) -> list[tuple[str, str, bytes | None]]:
        """Return (owner, key id, wrapped or None where destroyed), the newest of an owner last."""

    def by_id(self, key_ids: Iterable[str]) -> list[tuple[str, str, bytes | None]]:
        """Return (key id, owner, wrapped or None where destroyed)."""

    def make_alone(self, masters: Sequence[str]) -> None:
        """Let nobody else add keys from here to the end of the transaction: an owner gets one.

        Raises VaultError where keys are not wrapped by one of the masters any more: what they wrap now would be lost.
        """

    def add(self, keys: Iterable[tuple[str, str, bytes]]) -> None:
        """Keep new keys: (key id, owner, wrapped)."""


class MemoryKeys:
    """Wrapped keys in memory, for the in-memory configuration."""

    def __init__(self) -> None:
        self.rows: dict[str, tuple[str, bytes | None]] = {}

    def of_owners(self, owners: Iterable[str]) -> list[tuple[str, str, bytes | None]]:
        """Return the owners' keys."""
        wanted = set(owners)
        return [(o, k, w) for k, (o, w) in self.rows.items() if o in wanted]

    def by_id(self, key_ids: Iterable[str]) -> list[tuple[str, str, bytes | None]]:
        """Return keys by id."""
        return [(k, *self.rows[k]) for k in key_ids if k in self.rows]

    def make_alone(self, masters: Sequence[str]) -> None:
        """Do nothing: memory is one writer's."""

    def add(self, keys: Iterable[tuple[str, str, bytes]]) -> None:
        """Keep new keys."""
        self.rows.update({key_id: (owner, wrapped) for key_id, owner, wrapped in keys})


class Vault:
    """Seals and opens the personal data of one ledger."""

    def __init__(
        self, master: MasterKey, secrets: Secrets, *, random: Callable[[int], bytes] = os.urandom
    ) -> None:
        self.master = master
        self.secrets = secrets
        self._random = random
        self._ciphers: OrderedDict[str, AESGCM] = OrderedDict()

    def seal(self, event: Event, owner: str, keys: Mapping[str, str]) -> Event:
        """Return the event with its personal data sealed under the owner's key (`keys_for` gave it)."""
        key_id = keys[owner]
        cipher = self._ciphers[key_id]
        sealed: dict[str, Personal] = {}
        for name in event.data.PERSONAL:
            personal: Personal | None = getattr(event.data, name)
            if personal is None or personal.clear is None:
                continue
            nonce = self._random(NONCE_BYTES)
            text = cipher.encrypt(nonce, personal.clear.encode(), _bound_to(event, name))
            keyed = self.secrets.identity_hash(personal.clear) if name == HASHED_FIELD else None
            sealed[name] = Personal(
                key_id=key_id, sealed=base64.b64encode(nonce + text).decode("ascii"), hmac=keyed
            )
        return replace(event, data=replace(event.data, **sealed)) if sealed else event  # type: ignore[type-var]

    def keys_for(self, owners: Iterable[str], store: KeyStore) -> dict[str, str]:
        """Return each owner's key id, making keys where there are none, ready for `seal`.

        An owner one of whose keys was destroyed is left out: its personal data was erased.
        """
        wanted = set(owners)
        found, erased = self._known_keys(wanted, store)
        if wanted - found.keys() - erased:
            store.make_alone(self.master.ids)  # somebody else may just have made them
            found, erased = self._known_keys(wanted, store)
        made = []
        for owner in sorted(wanted - found.keys() - erased):
            key_id, key = self._random(16).hex(), self._random(KEY_BYTES)
            wrapped = self.master.wrap(key)
            self._remember(key_id, wrapped, key)
            made.append((key_id, owner, wrapped))
            found[owner] = key_id
        if made:
            store.add(made)
        return found

    def open(self, event: Event, store: KeyStore) -> Event:
        """Return the event with its personal data in clear; what was erased stays sealed.

        Raises VaultError where a sealed value does not belong to this event (it was moved or altered).
        """
        sealed = {n: p for n in event.data.PERSONAL if (p := getattr(event.data, n)) is not None and p.sealed}
        clear = {n: Personal(clear=text) for n, text in self._opened(event, sealed, store).items()}
        return replace(event, data=replace(event.data, **clear)) if clear else event  # type: ignore[type-var]

    def open_all(self, event: Event, data: Mapping[str, Any], store: KeyStore) -> dict[str, Any] | None:
        """Return stored data of any version in clear, or None where a key was destroyed.

        Raises VaultError where a sealed value was moved or altered, or an identity hash is not its own.
        """
        sealed = {name: parse_personal(value) for name, value in data.items() if is_sealed(value)}
        clear = self._opened(event, sealed, store)
        if clear.keys() != sealed.keys():
            return None
        for name, personal in sealed.items():
            if personal.hmac is not None and personal.hmac != self.secrets.identity_hash(clear[name]):
                raise VaultError(f"{event.source}#{event.id}: data.{name} has another document's hash")
        return {**data, **clear}

    def _opened(self, event: Event, sealed: Mapping[str, Personal], store: KeyStore) -> dict[str, str]:
        # The store is asked each time: what was erased elsewhere is not opened with a key kept in memory.
        standing: dict[str | None, AESGCM] = {}
        key_ids = {p.key_id for p in sealed.values() if p.key_id}
        for key_id, _owner, wrapped in store.by_id(key_ids) if key_ids else ():
            key_ids.discard(key_id)
            if wrapped is None:
                self.forget([key_id])
            else:
                standing[key_id] = self._remember(key_id, wrapped)
        if key_ids:
            raise VaultError(f"{event.source}#{event.id}: is sealed with a key that is not here")
        clear: dict[str, str] = {}
        for name, personal in sealed.items():
            cipher = standing.get(personal.key_id)
            if cipher is None or personal.sealed is None:
                continue
            try:
                raw = base64.b64decode(personal.sealed, validate=True)
                text = cipher.decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], _bound_to(event, name))
            except (InvalidTag, ValueError):
                raise VaultError(f"{event.source}#{event.id}: data.{name} was altered or moved") from None
            clear[name] = text.decode()
        return clear

    def forget(self, key_ids: Iterable[str] | None = None) -> None:
        """Drop some unwrapped keys from memory, or all."""
        if key_ids is None:
            self._ciphers.clear()
        else:
            for key_id in key_ids:
                self._ciphers.pop(key_id, None)

    def _known_keys(self, owners: Iterable[str], store: KeyStore) -> tuple[dict[str, str], set[str]]:
        """Return each owner's newest key id, ready for `seal`, and the owners who have a destroyed one instead."""
        found: dict[str, str] = {}
        erased: set[str] = set()
        for owner, key_id, wrapped in store.of_owners(owners):
            if wrapped is None:
                self.forget([key_id])
                erased.add(owner)
            else:
                self._remember(key_id, wrapped)
                found[owner] = key_id
        return {owner: key_id for owner, key_id in found.items() if owner not in erased}, erased

    def _remember(self, key_id: str, wrapped: bytes, key: bytes | None = None) -> AESGCM:
        """Return what seals with a key, which is unwrapped only where it is not known anyway."""
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            cipher = self._ciphers.setdefault(key_id, AESGCM(key or self.master.unwrap(wrapped)))
            while len(self._ciphers) > KEY_CACHE_MAX:
                self._ciphers.popitem(last=False)
        else:
            self._ciphers.move_to_end(key_id)  # what this batch uses is the last to be dropped
        return cipher


def _bound_to(event: Event, field: str) -> bytes:
    """Bind a ciphertext to its event and field: moved elsewhere it no longer opens."""
    return f"{event.source}\n{event.id}\n{field}".encode()
