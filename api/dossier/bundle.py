"""The machine-readable evidence of a dossier: plain files under a manifest, and what each of them is.

Events are the stored bytes with what proves them, as a sealed export has them, up to the dossier's position.
The keys of personal data are not among them: what is handed out must not outlive an erasure. The manifest is signed
with the key that seals, and a checker ships along that needs nothing else of Recount.
"""

import base64
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from api.dossier.composing import Dossier
from api.dossier.proving import Proven
from domain.evidence.headmap import Proof
from domain.ledger.codec import LedgerEvent
from domain.replay import canonical
from domain.rules.book import BUILT_IN, RuleVersion

FORMAT = "recount-dossier/2"
FORMATS = ("recount-dossier/1", FORMAT)
"""Those that this program made: an earlier dossier may be replaced."""
FOLDER = "bundle"
MANIFEST = f"{FOLDER}/manifest.json"
SIGNATURE = f"{FOLDER}/manifest.sig"
NAMES = (
    "README.txt",
    "check.py",
    "events.jsonl",
    "findings.json",
    "counterfactual.json",
    "replays.json",
    "rulebook.json",
    "timeline.json",
)
SEALED_NAMES = ("later.jsonl", "checkpoint.txt", "seal.json", "key.txt")
"""What a bundle has besides where the ledger is sealed."""
HERE = Path(__file__).parent


def files_of(dossier: Dossier) -> dict[str, bytes]:
    """Return the bundle's files by their path in the dossier, the manifest last; all of it is canonical JSON."""
    found = {
        f"{FOLDER}/events.jsonl": b"".join(map(_event_line, dossier.stored)),
        f"{FOLDER}/findings.json": _document([p.findings for p in dossier.parts]),
        f"{FOLDER}/counterfactual.json": _document([p.counterfactual for p in dossier.parts]),
        f"{FOLDER}/replays.json": _document(list(dossier.replays.values())),
        f"{FOLDER}/rulebook.json": _document(_rulebook(dossier)),
        f"{FOLDER}/timeline.json": _document(_timeline(dossier)),
        f"{FOLDER}/check.py": (HERE / "check.py").read_bytes(),
        f"{FOLDER}/README.txt": (HERE / "templates" / "bundle.txt").read_bytes(),
    }
    if dossier.proven is None:
        return {**found, MANIFEST: _document(_manifest(dossier, found))}
    found |= {f"{FOLDER}/{name}": content for name, content in _sealed(dossier.proven).items()}
    manifest = _document(_manifest(dossier, found))
    return {**found, SIGNATURE: _signature(dossier.proven, manifest), MANIFEST: manifest}


def _sealed(proven: Proven) -> dict[str, bytes]:
    """Return the files that lead from the events to a signature."""
    seal = proven.seal
    return {
        "later.jsonl": b"".join(map(_event_line, proven.later)),
        "checkpoint.txt": seal.checkpoint,
        "key.txt": f"{proven.key.named(seal.signed_text().origin)}\n".encode(),
        "seal.json": _document(
            {
                "record": seal.record.text().decode(),
                "peaks": [peak.hex() for peak in seal.peaks],
                "proofs": {subject: proof_document(proof) for subject, proof in proven.proofs.items()},
                "timestamps": [
                    {"authority": authority, "token": base64.b64encode(token).decode()}
                    for authority, token in proven.stamps
                ],
            }
        ),
    }


def proof_document(proof: Proof) -> dict[str, Any]:
    """Return a proof of a stream's head as plain values."""
    place = proof.place
    return {
        "siblings": [sibling.hex() for sibling in proof.siblings],
        "place": place and {"key": place.key.hex(), "version": place.version, "digest": place.digest.hex()},
    }


def _signature(proven: Proven, manifest: bytes) -> bytes:
    origin = proven.seal.signed_text().origin
    return proven.key.signed(origin, signed_of(origin, manifest))


def signed_of(origin: str, manifest: bytes) -> bytes:
    """Return the text that is signed of a manifest: it can't be taken for a checkpoint."""
    return f"recount bundle 1\n{origin}\n{hashlib.sha256(manifest).hexdigest()}\n".encode()


def _event_line(event: LedgerEvent) -> bytes:
    """Return an event as a line of a sealed export has it."""
    return _document(
        {
            **orjson.loads(event.state),
            "streamversion": event.originator_version,
            "digest": event.digest.hex(),
            "fingerprint": event.fingerprint.hex(),
        }
    )


def _document(value: Any) -> bytes:
    return canonical(value) + b"\n"


def _manifest(dossier: Dossier, files: Mapping[str, bytes]) -> dict[str, Any]:
    heads: dict[str, dict[str, Any]] = {}
    for event in dossier.stored:
        heads[str(event.originator_id)] = {"version": event.originator_version, "digest": event.digest.hex()}
    return {
        "format": FORMAT,
        "subject": dossier.subject,
        "ledger": dossier.ledger_region,
        "region": dossier.region,
        "known_at": dossier.known_at.isoformat(),
        "position": dossier.position,
        "rulebook_version": dossier.book.version,
        "assume": dict(dossier.assume),
        "assumptions": _assumptions(dossier),
        "parts": [
            {"subject": p.subject, "region": p.region, "streams": list(p.streams)} for p in dossier.parts
        ],
        "seal": dossier.proven
        and {"number": dossier.proven.seal.number, "position": dossier.proven.seal.position},
        "findings_digests": {p.subject: p.findings["digest"] for p in dossier.parts},
        "streams": heads,
        "files": {
            name.removeprefix(f"{FOLDER}/"): {
                "sha256": hashlib.sha256(content).hexdigest(),
                "size": len(content),
            }
            for name, content in files.items()
        },
    }


def _assumptions(dossier: Dossier) -> dict[str, str]:
    return {k: v for p in dossier.parts for k, v in p.counterfactual["assumptions"].items()}


def used_versions(dossier: Dossier) -> list[RuleVersion]:
    """Return the versions of rules that the findings were measured against, in the rulebook's order."""
    used = {(f["rule_id"], v) for f in dossier.findings for v in f["rule_version"].split(", ")}
    rule_ids = dict.fromkeys([v.rule_id for v in BUILT_IN] + [r for r, _ in sorted(used)])
    return [
        v for rule_id in rule_ids for v in dossier.book.versions_of(rule_id) if (v.rule_id, v.version) in used
    ]


def _rulebook(dossier: Dossier) -> dict[str, Any]:
    return {
        "rulebook_version": dossier.book.version,
        "rules": [
            {
                "rule_id": v.rule_id,
                "version": v.version,
                "in_force_from": v.since.isoformat(),
                "in_force_to": v.until.isoformat() if v.until else None,
                "parameters": dict(v.parameters),
                "citation": v.citation,
                "assumed": list(v.assumed),
                "not_usable": list(v.unread),
            }
            for v in used_versions(dossier)
        ],
    }


def _timeline(dossier: Dossier) -> list[dict[str, Any]]:
    """Return which event stands behind each number of the pages."""
    return [
        {
            "number": item.number,
            "event_id": item.recorded.event.id,
            "source": item.recorded.event.source,
            "subject": item.recorded.event.subject,
            "type": item.recorded.event.type,
            "version": item.recorded.version,
            "digest": item.recorded.digest.hex(),
        }
        for item in dossier.events
    ]
