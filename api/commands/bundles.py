"""verify BUNDLE: a dossier's evidence checked without a server."""

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from api.terminal import CommandError, Terminal, printable
from domain.evidence import EvidenceError
from domain.evidence.records import VerifierKey

if TYPE_CHECKING:
    from api.dossier.verifying import StampHeld
    from domain.ledger.timestamping import Roots


def verify_bundle(path: Path, keys: Sequence[VerifierKey], roots: "Roots | None", terminal: Terminal) -> int:
    """Check a bundle by the keys and its time stamps by the roots that are named; 1 where anything does not hold."""
    from api.dossier.verifying import check_bundle  # noqa: PLC0415 - it takes all rules to compute answers anew

    if not keys:
        raise CommandError(
            "verify BUNDLE: name the operator's public key with --key, from a source you trust:"
            " the one that came with a bundle proves nothing"
        )
    try:
        found = check_bundle(path, keys, roots)
    except EvidenceError as error:
        terminal.answer({"bundle": str(path), "holds": False, "why": str(error)}, [f"does not hold: {error}"])
        return 1
    lines = [
        f"{found.subject} as known at {found.known_at}, position {found.position}",
        f"  seal {found.seal} of {found.sealed_at}, by {found.key}",
        f"  {found.events} events of {found.streams} streams, none left out or altered",
        f"  {found.absent} streams shown not to be there, {found.later} later events only to reach the seal",
        *(f"  {_stamp(one)}" for one in found.stamps),
        *(
            f"  {text}"
            for text in found.differences or ["findings, counterfactual and states come from the events"]
        ),
    ]
    terminal.answer({"bundle": str(path), "holds": not found.differences, **asdict(found)}, lines)
    return 1 if found.differences else 0


def _stamp(one: "StampHeld") -> str:
    """Return what a time stamp says, as a line."""
    signer, authority = printable(one.signer), printable(one.authority)
    if one.trusted:
        return f"stamped at {one.at} by {signer} ({authority})"
    return (
        f"stamped at {one.at} by {signer} ({authority}), but the authority is not trusted:"
        " name its root with --tsa-roots, from a source you trust"
    )


def refuse_more(given: argparse.Namespace) -> None:
    """Refuse what is only asked of a ledger."""
    if given.full or given.checkpoint or given.model:
        raise CommandError(
            "verify BUNDLE: takes --key and --tsa-roots only; --full, --checkpoint and --model are for a ledger"
        )
