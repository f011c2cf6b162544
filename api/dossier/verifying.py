"""Checks a bundle without server and database: what `check.py` checks, and the answers computed anew from the events.

Shares no code with `check.py`: what one of them overlooked, the other one may find. The tests hold them together.
"""

import base64
import hashlib
import os
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
from eventsourcing.persistence import MapperDeserialisationError

from api.dossier.bundle import FOLDER, FORMAT, MANIFEST, NAMES, SEALED_NAMES, signed_of
from api.inquiry import derived
from domain.calendar import day_of
from domain.events.envelope import Recorded, kind_of
from domain.evidence import EvidenceError
from domain.evidence.headmap import Place, Proof, head_of
from domain.evidence.merkle import root_with_last
from domain.evidence.records import Record, VerifierKey, parse_checkpoint, parse_record
from domain.ledger.codec import CanonicalTranscoder, LedgerEvent, LedgerMapper, chain, genesis
from domain.ledger.signing import opened
from domain.replay import Question, canonical, replay
from domain.rules.table import Inquiry, findings

if TYPE_CHECKING:
    from domain.ledger.timestamping import Roots

FILE_MAX_BYTES = 256 * 1024 * 1024  # some 500,000 events
MALFORMED = (
    KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError, RecursionError,
    MapperDeserialisationError,
)  # fmt: skip
STAMPS_MAX = 100  # one of each authority that was asked
_HEX = re.compile(r"([0-9a-f]{2})+\Z", re.ASCII)
_MANIFEST, _SIGNATURE = "manifest.json", "manifest.sig"


@dataclass(frozen=True, slots=True)
class StampHeld:
    """A time stamp of the bundle's seal: whose it says it is, of what time, and whether a trusted root is behind it."""

    authority: str
    at: str
    signer: str
    trusted: bool


@dataclass(slots=True)
class Checked:
    """What a bundle came to."""

    subject: str
    known_at: str
    position: int
    seal: int
    sealed_at: str
    key: str
    events: int
    streams: int
    absent: int
    """Streams that were looked at and proven not to be there."""
    later: int
    stamps: list[StampHeld] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)
    """Answers that are not what the events come to."""


def folder_of(path: Path) -> Path:
    """Return the bundle's folder where a dossier's is named."""
    return path / FOLDER if (path / MANIFEST).is_file() else path


def check_bundle(path: Path, keys: Sequence[VerifierKey], roots: "Roots | None" = None) -> Checked:
    """Check a bundle by keys that are trusted, and its time stamps by roots that are.

    Raises EvidenceError that says what does not hold.
    """
    try:
        return _checked(folder_of(path), keys, roots)
    except EvidenceError:
        raise
    except MALFORMED:
        raise EvidenceError("a file has not the form it should have") from None


def _checked(folder: Path, keys: Sequence[VerifierKey], roots: "Roots | None") -> Checked:
    files, manifest = _files(folder)
    checkpoint = parse_checkpoint(_named("checkpoint.txt", opened, files["checkpoint.txt"], keys))
    signed = _named(_SIGNATURE, opened, files[_SIGNATURE], [k for k in keys if k.name == checkpoint.origin])
    if signed != signed_of(checkpoint.origin, files[_MANIFEST]):
        raise EvidenceError(f"{_SIGNATURE}: signs another manifest")
    seal = _document("seal.json", files["seal.json"])
    record = parse_record(seal["record"].encode())
    _check_record(manifest, record, checkpoint.size, checkpoint.root, [_hex(p) for p in seal["peaks"]])
    events = [*_events("events.jsonl", files["events.jsonl"])]
    later = [*_events("later.jsonl", files["later.jsonl"])]
    _check_chains(manifest, events, later)
    _check_proofs(manifest, record, seal["proofs"], [*events, *later])
    _check_timeline(files["timeline.json"], [*events, *later])
    found = Checked(
        subject=manifest["subject"],
        known_at=manifest["known_at"],
        position=manifest["position"],
        seal=record.number,
        sealed_at=record.sealed_at.isoformat(),
        key=next(str(k) for k in keys if k.name == checkpoint.origin),
        events=len(events),
        streams=len(manifest["streams"]),
        absent=len(seal["proofs"]) - len({e.originator_id for e in [*events, *later]}),
        later=len(later),
    )
    found.stamps += _stamps(seal["timestamps"], files["checkpoint.txt"], roots)
    found.differences += _recomputed(manifest, files, events)
    return found


# -- files ----------------------------------------------------------------------------------------------------


def _files(folder: Path) -> tuple[dict[str, bytes], Any]:
    """Return the files by name and the manifest, once each is the one it lists, and there is no other."""
    if not folder.is_dir():
        raise EvidenceError(f"{folder}: is no folder of a bundle")
    files = {_MANIFEST: _read(folder, _MANIFEST)}
    manifest = _document(_MANIFEST, files[_MANIFEST])
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise EvidenceError(f"{_MANIFEST}: is not of the form {FORMAT}")
    if manifest["seal"] is None:
        raise EvidenceError("is not sealed: its events follow from one another, but nobody signed them")
    listed = manifest["files"]
    if set(listed) != {*NAMES, *SEALED_NAMES}:
        raise EvidenceError(f"{_MANIFEST}: does not list the files of a bundle")
    there = {path.name for path in folder.iterdir()}
    for name in sorted(there ^ {*listed, _MANIFEST, _SIGNATURE}):
        raise EvidenceError(f"{name!a}: is not listed" if name in there else f"{name}: is missing")
    for name, said in listed.items():
        files[name] = content = _read(folder, name)
        if said != {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}:
            raise EvidenceError(f"{name}: is not the file that the manifest lists")
    files[_SIGNATURE] = _read(folder, _SIGNATURE)
    return files, manifest


def _read(folder: Path, name: str) -> bytes:
    """Return a plain file's bytes: no link is followed, nothing is waited for, and no more is read than may be."""
    try:
        with os.fdopen(os.open(folder / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
            about = os.fstat(file.fileno())
            if not stat.S_ISREG(about.st_mode) or about.st_size > FILE_MAX_BYTES:
                raise EvidenceError(f"{name}: is no plain file of at most {FILE_MAX_BYTES} bytes")
            return file.read(FILE_MAX_BYTES + 1)
    except OSError as error:
        raise EvidenceError(f"{name}: can't be read ({error.strerror})") from None


def _document(name: str, raw: bytes) -> Any:
    if not raw.endswith(b"\n"):
        raise EvidenceError(f"{name}: does not end with a line feed")
    return _json(name, raw[:-1])


def _json(name: str, raw: bytes) -> Any:
    """Return the value of canonical JSON: whatever reads otherwise to another reader is refused."""
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise EvidenceError(f"{name}: is no JSON that can be read") from None
    if orjson.dumps(value, option=orjson.OPT_SORT_KEYS) != raw:
        raise EvidenceError(f"{name}: is not written in the one way it can be")
    return value


def _hex(text: str, size: int = 32) -> bytes:
    if not _HEX.match(text) or len(text) != 2 * size:
        raise ValueError(text)
    return bytes.fromhex(text)


def _named(name: str, ask: Any, *given: Any) -> bytes:
    try:
        found: bytes = ask(*given)
    except EvidenceError as error:
        raise EvidenceError(f"{name}: {error}") from None
    return found


# -- the seal and the events ----------------------------------------------------------------------------------


def _check_record(
    manifest: Mapping[str, Any], record: Record, size: int, root: bytes, peaks: Sequence[bytes]
) -> None:
    if record.number != size or root_with_last(peaks, size, record.hash) != root:
        raise EvidenceError("seal.json: the record is not the one that the checkpoint signs")
    if manifest["seal"] != {"number": record.number, "position": record.position}:
        raise EvidenceError(f"{_MANIFEST}: speaks of another seal")
    if record.ledger != manifest["ledger"]:
        raise EvidenceError(f"{_MANIFEST}: speaks of another ledger")
    if not 0 <= manifest["position"] <= record.position:
        raise EvidenceError(f"{_MANIFEST}: the seal does not reach as far as the bundle")


def _events(name: str, raw: bytes) -> Iterator[LedgerEvent]:
    """Return a file's events, numbered in their order: the log's own positions do not matter, their order does."""
    if raw and not raw.endswith(b"\n"):
        raise EvidenceError(f"{name}: does not end with a line feed")
    for number, line in enumerate(raw.split(b"\n")[:-1], 1):
        where = f"{name}, line {number}"
        body = _json(where, line)
        version, digest = body.pop("streamversion"), _hex(body.pop("digest"))
        fingerprint = _hex(body.pop("fingerprint"))
        if type(version) is not int:
            raise EvidenceError(f"{where}: has no version")
        yield LedgerEvent(
            originator_id=body["subject"],
            originator_version=version,
            topic=body["type"],
            state=orjson.dumps(body, option=orjson.OPT_SORT_KEYS),
            source=body["source"],
            event_id=body["id"],
            position=number,
            digest=digest,
            fingerprint=fingerprint,
        )


def _check_chains(
    manifest: Mapping[str, Any], events: Sequence[LedgerEvent], later: Sequence[LedgerEvent]
) -> None:
    """See that every event follows from the one before it in its stream."""
    heads: dict[str, tuple[int, bytes]] = {}
    for name, some in (("events.jsonl", events), ("later.jsonl", later)):
        for event in some:
            subject = str(event.originator_id)
            version, digest = heads.get(subject, (0, genesis(subject)))
            if event.originator_version != version + 1:
                raise EvidenceError(
                    f"{name}, line {event.position}: is version {event.originator_version} of {subject!a},"
                    f" should be {version + 1}"
                )
            if chain(digest, event.state) != event.digest:
                raise EvidenceError(
                    f"{name}, line {event.position}: does not follow from the event before it in {subject!a}"
                )
            heads[subject] = version + 1, event.digest
        if some is events:
            said = {s: {"version": v, "digest": d.hex()} for s, (v, d) in heads.items()}
            if said != manifest["streams"]:
                raise EvidenceError("events.jsonl: has not the streams that the manifest lists")


def _check_proofs(
    manifest: Mapping[str, Any], record: Record, proofs: Mapping[str, Any], events: Sequence[LedgerEvent]
) -> None:
    """See that every stream ends where the seal says it ended, and that those without events were not there."""
    heads = {str(e.originator_id): (e.originator_version, e.digest) for e in events}
    asked = {s for part in manifest["parts"] for s in (*part["streams"], part["subject"])}
    for subject in sorted((heads.keys() | asked) - proofs.keys()):
        raise EvidenceError(f"seal.json: has no proof of {subject!a}")
    for subject, given in proofs.items():
        place = given["place"]
        proof = Proof(
            tuple(_hex(s) for s in given["siblings"]),
            place and Place(_hex(place["key"]), place["version"], _hex(place["digest"])),
        )
        if head_of(record.heads, subject, proof) != heads.get(subject):
            raise EvidenceError(
                f"{subject!a}: does not end where the seal says it ended: events are left out or put in"
            )


def _check_timeline(raw: bytes, events: Sequence[LedgerEvent]) -> None:
    """See that every number on the pages stands for an event that is there."""
    seen = {(e.originator_id, e.originator_version): e for e in events}
    items = _document("timeline.json", raw)
    if not isinstance(items, list):
        raise EvidenceError("timeline.json: is no list")
    for number, item in enumerate(items, 1):
        event = seen.get((item["subject"], item["version"]))
        said = (item["number"], item["event_id"], item["source"], item["type"], item["digest"])
        if event is None or said != (number, event.event_id, event.source, event.topic, event.digest.hex()):
            raise EvidenceError(f"timeline.json: number {number} is no event of the bundle")


def _stamps(given: Sequence[Any], checkpoint: bytes, roots: "Roots | None") -> Iterator[StampHeld]:
    """Yield what time stamps say of the checkpoint; raises EvidenceError where one is wrong, or no trusted one."""
    if not isinstance(given, list) or len(given) > STAMPS_MAX:
        raise EvidenceError(f"seal.json: should have a list of at most {STAMPS_MAX} time stamps")
    if not given:
        return
    from domain.ledger.timestamping import checked  # noqa: PLC0415 - most bundles have none

    for one in given:
        authority = one["authority"]
        try:
            stamp = checked(base64.b64decode(one["token"], validate=True), checkpoint, roots)
        except EvidenceError as error:
            raise EvidenceError(f"seal.json: time stamp of {authority!a}: {error}") from None
        if roots is not None and not stamp.trusted:
            raise EvidenceError(f"seal.json: time stamp of {authority!a}: leads to no root that is trusted")
        yield StampHeld(str(authority), stamp.at.isoformat(), stamp.signer, stamp.trusted)


# -- the answers ----------------------------------------------------------------------------------------------


def _recomputed(
    manifest: Mapping[str, Any], files: Mapping[str, bytes], events: Sequence[LedgerEvent]
) -> Iterator[str]:
    """Compute findings, counterfactual and states anew, and yield what is not what the bundle says."""
    mapper = LedgerMapper(CanonicalTranscoder())
    streams: dict[str, list[Recorded]] = {}
    for event in events:
        streams.setdefault(str(event.originator_id), []).append(mapper.to_domain_event(event))
    known_at, position = datetime.fromisoformat(manifest["known_at"]), manifest["position"]
    given = {
        name: _document(name, files[name])
        for name in ("findings.json", "counterfactual.json", "replays.json")
    }
    answers: dict[str, list[Any]] = {"findings.json": [], "counterfactual.json": []}
    for part in manifest["parts"]:
        histories = {subject: streams.get(subject, []) for subject in part["streams"]}
        asked = Inquiry(part["subject"], known_at, position, part["region"])
        answers["findings.json"].append(findings(asked, histories))
        until = day_of(known_at, manifest["region"]).isoformat()
        answers["counterfactual.json"].append(
            derived(asked, histories, until=until, assume=manifest["assume"])
        )
    for name, answer in answers.items():
        if canonical(answer) != canonical(given[name]):
            yield f"{name}: is not what the events come to by the rules of this version of Recount"
    whole = {part["subject"] for part in manifest["parts"]}
    for said in given["replays.json"]:
        subject = said["subject"]
        if kind_of(subject) == "party" and subject not in whole:
            continue  # its other accounts are not in the bundle
        history = streams.get(subject, [])
        region = history[0].event.region if history else manifest["ledger"]
        around = {s: h for s, h in streams.items() if s == subject or kind_of(s) == "account"}
        question = Question(subject, known_at, known_at, position, region)
        if canonical(replay(question, around if subject in whole else {subject: history})) != canonical(said):
            yield f"replays.json: {subject} is not what the events come to"
