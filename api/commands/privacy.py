"""rotate-master-key: the key that wraps all others changed for another."""

import argparse
from pathlib import Path

from api.commands.adding import Add
from api.runtime import opened
from api.settings import MASTER_KEY_FILE, Settings
from api.terminal import Terminal
from domain.ledger.rotating import Rotated, rotate
from domain.ledger.vault import MasterKey


def register(add: Add) -> None:
    """Add the commands to the command line."""
    changed = add("rotate-master-key", rotate_master_key, "wrap every key anew with another master key")
    changed.add_argument(
        "--new-key-file", type=Path, metavar="FILE", required=True, help="32 random bytes in base64"
    )


def rotate_master_key(given: argparse.Namespace, settings: Settings, terminal: Terminal) -> int:
    """Let a new master key take the present one's place; stopped, it goes on when it is done again."""
    new = MasterKey.read(given.new_key_file)
    own = settings.data_dir / MASTER_KEY_FILE if settings.keeps_its_key else None

    def show(done: Rotated) -> None:
        terminal.progress(f"{done.keys:,} keys wrapped anew")

    with opened(settings, terminal.say) as runtime:
        done = rotate(runtime.deployment, new, (lambda: new.put(own)) if own else lambda: None, show)
    document = {
        "old": done.old_id,
        "new": done.new_id,
        "keys": done.keys,
        "ledgers": done.ledgers,
        "already": done.already,
        "key_file": str(own) if own else None,
    }
    lines = [f"the master key {done.new_id} wraps everything already"]
    if not done.already:
        lines = [
            f"{done.keys} keys of {done.ledgers} ledgers are wrapped by the master key {done.new_id} now",
            f"it stands in {own}, and the one before it beside it: move that one away"
            if own
            else "start the service with the new key from now on (RECOUNT_MASTER_KEY_FILE)",
            f"the key {done.old_id} opens backups and sealed exports made until now, and nothing here",
        ]
    terminal.answer(document, lines)
    return 0
