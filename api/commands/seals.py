"""seal: the log sealed as it stands, and the public key to check seals with."""

import argparse
from typing import Any

from api.commands.adding import Add
from api.runtime import Runtime, opened
from api.sealing import document, line, seal_one
from api.settings import Settings
from api.terminal import CommandError, Terminal
from domain.ledger.application import Ledger
from domain.ledger.seals import Seals


def register(add: Add) -> None:
    """Add the command to the command line."""
    seal = add("seal", seal_ledgers, "the log sealed as it stands: signed, and chained to the seal before")
    seal.add_argument("--new-key", action="store_true", help="go on with another key than the last seal's")
    seal.add_argument("--key", action="store_true", help="only print the public keys, to be kept elsewhere")


def seal_ledgers(given: argparse.Namespace, settings: Settings, terminal: Terminal) -> int:
    """Seal every ledger or one, or print the public keys."""
    with opened(settings, terminal.say) as runtime:
        ledgers = [
            ledger
            for ledger in runtime.deployment.ledgers
            if given.region is None or ledger.region == given.region.partition(".")[0]
        ]
        if given.region is not None and not ledgers:
            raise CommandError(f"--region {given.region}: there is no such ledger")
        if given.key:
            keys = [_key(runtime, ledger) for ledger in ledgers]
            terminal.answer({"keys": keys}, [key["key"] for key in keys] or ["there is no ledger yet"])
            return 0
        found = [document(seal_one(runtime, ledger, new_key=given.new_key)) for ledger in ledgers]
    terminal.answer({"seals": found}, [line(one) for one in found] or ["there is no ledger yet"])
    return 0


def _key(runtime: Runtime, ledger: Ledger) -> dict[str, Any]:
    """Return a ledger's public key, under the name its checkpoints have or will have."""
    return {"ledger": ledger.region, "key": str(runtime.verifier_key(ledger, Seals(ledger).last()))}
