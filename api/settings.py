"""What the environment and the command line say. The environment is read here and nowhere else."""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from domain.events.envelope import REGION_MAX_CHARS
from domain.events.fields import MalformedError
from domain.evidence import EvidenceError
from domain.ledger.signing import NoSealKeyError, SealKey, SealKeyError
from domain.ledger.vault import MasterKey, VaultError

MASTER_KEY_FILE = "master.key"
SEAL_KEY_FILE = "seal.key"
SEAL_NAME = "recount"
DEFAULT_DATA = Path("data")


@dataclass(frozen=True, slots=True)
class IssuerSettings:
    """Whose tokens let somebody in, and how a browser is signed in there.

    `issuer`, `audience` and `jwks` (an address or a file) say which tokens are taken; the other two addresses and how
    we are known there are for the console.
    """

    issuer: str
    audience: str = "recount"
    jwks: str | None = None
    authorize_url: str | None = None
    token_url: str | None = None
    client_id: str = "recount-console"
    client_secret: str | None = None

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> "IssuerSettings | None":
        """Return what an environment says of an issuer, None where it names none."""
        issuer = environment.get("RECOUNT_ISSUER")
        if not issuer:
            return None
        return cls(
            issuer,
            environment.get("RECOUNT_AUDIENCE") or "recount",
            environment.get("RECOUNT_JWKS") or None,
            environment.get("RECOUNT_AUTHORIZE_URL") or None,
            environment.get("RECOUNT_TOKEN_URL") or None,
            environment.get("RECOUNT_CLIENT_ID") or "recount-console",
            environment.get("RECOUNT_CLIENT_SECRET") or None,
        )


@dataclass(frozen=True, slots=True)
class EdgeSettings:
    """How the service is reached, and how often by anybody.

    `outside` is its address as browsers see it; what `proxies` say of a client's address is taken; the rates are in
    requests a second of each caller, None for the default and 0 for no limit.
    """

    outside: str | None = None
    proxies: str | None = None
    person_per_s: float | None = None
    system_per_s: float | None = None
    anonymous_per_s: float | None = None

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> "EdgeSettings":
        """Return what an environment says; raises MalformedError."""
        outside = environment.get("RECOUNT_PUBLIC_URL") or None
        if outside and not re.fullmatch(r"https?://[A-Za-z0-9.:\[\]-]+/?", outside):
            raise MalformedError("RECOUNT_PUBLIC_URL", "should be as https://recount.example, without a path")
        return cls(
            outside.rstrip("/") if outside else None,
            environment.get("RECOUNT_PROXIES") or None,
            *(_rate(environment, f"RECOUNT_{who}_PER_S") for who in ("PERSON", "SYSTEM", "ANONYMOUS")),
        )


def _rate(environment: Mapping[str, str], name: str) -> float | None:
    given = environment.get(name)
    if not given:
        return None
    if not re.fullmatch(r"[0-9]{1,7}(\.[0-9]{1,3})?", given):
        raise MalformedError(name, "should be requests a second, as 50, or 0 for no limit")
    return float(given)


@dataclass(frozen=True, slots=True)
class Settings:
    """Where the data stands and what unlocks it, and how the service is reached and by whom.

    `database_url` (DATABASE_URL) takes precedence over the embedded server in `data_dir`;
    `owner_url` (RECOUNT_OWNER_URL) is used for migrations where the service's own user may not migrate.
    """

    data_dir: Path
    database_url: str | None = None
    owner_url: str | None = None
    master_key: str | None = None
    master_key_file: Path | None = None
    seal_key: str | None = None
    seal_key_file: Path | None = None
    seal_name: str = SEAL_NAME
    """What begins a ledger's name in its checkpoints: best an address of the operator's, as ledger.example.com."""
    tsa_url: str | None = None
    """The authority (RFC 3161) that is asked to stamp each seal."""
    tsa_roots: Path | None = None
    """Certificates in PEM form: whose time stamps are trusted."""
    issuer: IssuerSettings | None = None
    edge: EdgeSettings = EdgeSettings()

    @classmethod
    def read(cls, data_dir: Path, environment: Mapping[str, str] = os.environ) -> "Settings":
        """Return the settings of an environment; raises MalformedError."""
        key_file = environment.get("RECOUNT_MASTER_KEY_FILE")
        seal_key_file = environment.get("RECOUNT_SEAL_KEY_FILE")
        tsa_roots = environment.get("RECOUNT_TSA_ROOTS")
        return cls(
            data_dir=data_dir.absolute(),
            database_url=environment.get("DATABASE_URL") or None,
            owner_url=environment.get("RECOUNT_OWNER_URL") or None,
            master_key=environment.get("RECOUNT_MASTER_KEY") or None,
            master_key_file=Path(key_file) if key_file else None,
            seal_key=environment.get("RECOUNT_SEAL_KEY") or None,
            seal_key_file=Path(seal_key_file) if seal_key_file else None,
            seal_name=environment.get("RECOUNT_SEAL_NAME") or SEAL_NAME,
            tsa_url=environment.get("RECOUNT_TSA_URL") or None,
            tsa_roots=Path(tsa_roots) if tsa_roots else None,
            issuer=IssuerSettings.read(environment),
            edge=EdgeSettings.read(environment),
        )

    @property
    def keeps_its_key(self) -> bool:
        """Whether the master key stands in the embedded data directory, as nothing else says where."""
        return not (self.master_key or self.master_key_file or self.database_url)

    def master(self, first_use: bool) -> MasterKey:  # noqa: FBT001 - the one thing the caller says
        """Return the master key: the environment's, a file's, or the embedded data directory's own.

        A key is made only on first use of an embedded data directory; a key that was lost is never
        replaced, since what it wrapped would be lost with it. Raises VaultError.
        """
        if self.master_key:
            return MasterKey.parse(self.master_key, "RECOUNT_MASTER_KEY")
        if self.master_key_file:
            return MasterKey.read(self.master_key_file)
        if self.database_url:
            raise VaultError(
                "a master key is needed with DATABASE_URL: set RECOUNT_MASTER_KEY_FILE to a file with 32 random"
                " bytes in base64 (head -c 32 /dev/urandom | base64), or RECOUNT_MASTER_KEY to the text"
            )
        path = self.data_dir / MASTER_KEY_FILE
        if path.exists():
            return MasterKey.read(path)
        if not first_use:
            raise VaultError(
                f"the master key {path} is missing, and personal data here is locked with it:"
                " put it back from its backup (a new key would open nothing)"
            )
        return MasterKey.make(path)

    def sealing_key(self, was_sealed: Callable[[], bool]) -> SealKey:
        """Return the key that seals: the environment's, a file's, or the embedded data directory's own.

        A key is made only where nothing was sealed yet: whoever handed the public key out would see another one.
        Raises NoSealKeyError where no key was ever set, SealKeyError.
        """
        key = self._sealing_key(was_sealed)
        try:
            key.named(f"{self.seal_name}/{'x' * REGION_MAX_CHARS}")
        except EvidenceError as error:
            raise SealKeyError(f"RECOUNT_SEAL_NAME: {error}") from error
        return key

    def _sealing_key(self, was_sealed: Callable[[], bool]) -> SealKey:
        if self.seal_key:
            return SealKey.parse(self.seal_key, "RECOUNT_SEAL_KEY")
        if self.seal_key_file:
            return SealKey.read(self.seal_key_file)
        if self.database_url:
            raise NoSealKeyError(
                "a key is needed to seal with: set RECOUNT_SEAL_KEY_FILE to a file with 32 random bytes in base64"
                " (head -c 32 /dev/urandom | base64), or RECOUNT_SEAL_KEY to the text"
            )
        path = self.data_dir / SEAL_KEY_FILE
        if path.exists():
            return SealKey.read(path)
        if was_sealed():
            raise SealKeyError(
                f"the seal key {path} is missing, and the ledger was sealed with it: put it back from its backup, or"
                f" put a new one there (head -c 32 /dev/urandom | base64 > {path}) and run recount seal --new-key"
            )
        return SealKey.make(path)
