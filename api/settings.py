"""What the environment and the command line say. The environment is read here and nowhere else."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from domain.ledger.vault import MasterKey, VaultError

MASTER_KEY_FILE = "master.key"
DEFAULT_DATA = Path("data")


@dataclass(frozen=True, slots=True)
class Settings:
    """Where the data stands and what unlocks it.

    `database_url` (DATABASE_URL) takes precedence over the embedded server in `data_dir`;
    `owner_url` (RECOUNT_OWNER_URL) is used for migrations where the service's own user may not migrate.
    """

    data_dir: Path
    database_url: str | None = None
    owner_url: str | None = None
    master_key: str | None = None
    master_key_file: Path | None = None

    @classmethod
    def read(cls, data_dir: Path, environment: Mapping[str, str] = os.environ) -> "Settings":
        """Return the settings of an environment."""
        key_file = environment.get("RECOUNT_MASTER_KEY_FILE")
        return cls(
            data_dir=data_dir.absolute(),
            database_url=environment.get("DATABASE_URL") or None,
            owner_url=environment.get("RECOUNT_OWNER_URL") or None,
            master_key=environment.get("RECOUNT_MASTER_KEY") or None,
            master_key_file=Path(key_file) if key_file else None,
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
