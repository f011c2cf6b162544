"""Checks an evidence bundle of Recount.

    python3 check.py KEY [FOLDER]

KEY is the operator's public key for the ledger, as NAME+ID+KEY, from a source you trust: from the operator's
publication, a regulator, a notary. The one in key.txt came with the bundle and proves nothing by itself; the same
is true of this file: compare it with one you had before. Needs Python 3.11 or newer and `cryptography`, no network.

What it checks: that every file is the one the manifest lists, and the manifest is signed with KEY; that each stream's
events follow from one another, from the first on; that the last event of each stream is the one that the signed seal
says was its last when it was made, so that none is left out, in the middle or at the end; that streams said to be
empty were not there. The exit code is 0 where all of it holds, 1 where anything does not, 2 where it was called
wrongly.
"""

import base64
import hashlib
import json
import os
import re
import stat
import sys
from pathlib import Path
from typing import Any

Key = tuple[str, bytes, bytes]
"""A public key's name, ID and bytes."""
Heads = dict[str, tuple[int, str | None]]
Seen = dict[tuple[str, int], dict[str, str]]
FORMATS = ("recount-dossier/2",)
FILE_MAX_BYTES = 256 * 1024 * 1024  # some 500,000 events
FILES_MAX = 100
STAMPS_MAX = 100
DEPTH_MAX = 200  # of nested JSON: what is stored has some ten levels
NAME = re.compile(r"[A-Za-z][a-zA-Z0-9_-]{0,40}\.[a-z]{1,8}\Z", re.ASCII)
HEX32 = re.compile(r"[0-9a-f]{64}\Z", re.ASCII)
OPEN = {"manifest.json", "manifest.sig"}
EMPTY = bytes(32)


class Wrong(Exception):  # noqa: N818 - what it says is wrong is in its words
    """Something in the bundle is not as it should be."""


def sha256(raw: bytes) -> bytes:
    """Return the SHA-256 of bytes."""
    return hashlib.sha256(raw).digest()


# -- files ----------------------------------------------------------------------------------------------------


def read(folder: Path, name: str) -> bytes:
    """Return a file's bytes: of a plain file in the folder itself, and of no more than a bounded size."""
    if name not in OPEN and not NAME.match(name):
        raise Wrong("a file has a name that no bundle's file has")
    try:
        handle = os.open(folder / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(handle, "rb") as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode) or found.st_size > FILE_MAX_BYTES:
                raise Wrong(f"{name}: is no plain file of at most {FILE_MAX_BYTES} bytes")
            return file.read(FILE_MAX_BYTES + 1)
    except OSError as error:
        raise Wrong(f"{name}: can't be read ({error.strerror})") from None


class Fraction(str):
    """A number with a fraction, as it is written."""

    __slots__ = ()


def parse(name: str, raw: bytes) -> Any:
    """Return the value of canonical JSON."""
    try:
        value = json.loads(
            raw.decode(), parse_float=Fraction, parse_constant=refuse, object_pairs_hook=unique
        )
        if canonical(value) != raw:
            raise Wrong(f"{name}: is not written in the one way it can be")
    except (ValueError, RecursionError):
        raise Wrong(f"{name}: is no JSON that can be read") from None
    return value


def refuse(_text: str) -> None:
    """Refuse what is no JSON."""
    raise ValueError


def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object; a name that comes twice is refused."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError
    return found


def canonical(value: Any, depth: int = 0) -> bytes:
    """Return the canonical JSON of a value: names in the order of their bytes, no white space, UTF-8."""
    if depth > DEPTH_MAX:
        raise ValueError
    if isinstance(value, dict):
        inner = (
            json.dumps(k, ensure_ascii=False).encode() + b":" + canonical(v, depth + 1)
            for k, v in sorted(value.items(), key=lambda item: item[0].encode())
        )
        return b"{" + b",".join(inner) + b"}"
    if isinstance(value, list):
        return b"[" + b",".join(canonical(v, depth + 1) for v in value) + b"]"
    if isinstance(value, Fraction):
        return value.encode()
    return json.dumps(value, ensure_ascii=False).encode()


def document(name: str, raw: bytes) -> Any:
    """Return the value of a file that is one JSON document on a line."""
    if not raw.endswith(b"\n"):
        raise Wrong(f"{name}: does not end with a line feed")
    return parse(name, raw[:-1])


def check_files(folder: Path) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Return the manifest and every file's bytes, once each is the one that the manifest lists."""
    files = {"manifest.json": read(folder, "manifest.json")}
    manifest = document("manifest.json", files["manifest.json"])
    if not isinstance(manifest, dict) or manifest.get("format") not in FORMATS:
        raise Wrong(f"manifest.json: is not of a format that this knows ({', '.join(FORMATS)})")
    listed = manifest["files"]
    if len(listed) > FILES_MAX:
        raise Wrong(f"manifest.json: lists more than {FILES_MAX} files")
    try:
        there = {path.name for path in folder.iterdir()}
    except OSError as error:
        raise Wrong(f"the folder can't be read ({error.strerror})") from None
    wanted = {*listed, "manifest.json"} | ({"manifest.sig"} if manifest["seal"] is not None else set())
    if there != wanted:
        more, less = sorted(there - wanted), sorted(wanted - there)
        what = f"has {more[0]!a}, which is not listed" if more else f"lacks {less[0]!a}"
        raise Wrong(f"the folder {what}")
    for name, said in listed.items():
        files[name] = raw = read(folder, name)
        if said != {"sha256": sha256(raw).hex(), "size": len(raw)}:
            raise Wrong(f"{name}: is not the file that the manifest lists")
    if manifest["seal"] is None:
        raise Wrong("the bundle is not sealed: its events follow from one another, but nobody signed them")
    files["manifest.sig"] = read(folder, "manifest.sig")
    return manifest, files


# -- signatures -----------------------------------------------------------------------------------------------


def strict_base64(text: str) -> bytes:
    """Return the bytes of base64 in its one form."""
    raw = base64.b64decode(text, validate=True)
    if base64.b64encode(raw).decode() != text:
        raise ValueError
    return raw


def parse_key(text: str) -> Key:
    """Return the name, ID and bytes of a public key (c2sp.org/signed-note, vkey); raises ValueError."""
    name, key_id, key = text.strip().split("+", 2)
    raw = strict_base64(key)
    if not name or raw[:1] != b"\x01" or len(raw) != 33:
        raise ValueError
    if sha256(name.encode() + b"\n" + raw)[:4].hex() != key_id:
        raise ValueError
    return name, bytes.fromhex(key_id), raw[1:]


def signed_text(name: str, raw: bytes, key: Key) -> str:
    """Return the text of a signed note, once its signature is the key's."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    key_name, key_id, public = key
    text, blank, below = raw.rpartition(b"\n\n")
    text += b"\n"
    lines = below.split(b"\n")
    try:
        if not blank or lines.pop() or not 0 < len(lines) <= 32 or any(b < 32 and b != 10 for b in raw):
            raise ValueError
        for line in lines:
            dash, signer, signature = line.decode().split(" ")
            found = strict_base64(signature)
            if dash != "\u2014" or not signer or "+" in signer or len(found) < 5:
                raise ValueError
            if signer == key_name and found[:4] == key_id:
                Ed25519PublicKey.from_public_bytes(public).verify(found[4:], text)
                return text.decode()
    except InvalidSignature:
        raise Wrong(f"{name}: the signature is not valid") from None
    except ValueError:
        raise Wrong(f"{name}: is no signed note") from None
    raise Wrong(f"{name}: is not signed with the key you named")


# -- the seal -------------------------------------------------------------------------------------------------


def node(left: bytes, right: bytes) -> bytes:
    """Return the hash of a node (RFC 6962)."""
    return sha256(b"\x01" + left + right)


def check_seal(manifest: dict[str, Any], files: dict[str, bytes], key: Key) -> tuple[bytes, Any, list[str]]:
    """Return the root of the map of heads, and the seal's file, once the signed checkpoint leads to them."""
    text = signed_text("checkpoint.txt", files["checkpoint.txt"], key)
    seal = document("seal.json", files["seal.json"])
    record = seal["record"].split("\n")
    peaks = [unhex(p) for p in seal["peaks"]]
    root = sha256(b"\x00" + seal["record"].encode())
    for peak in reversed(peaks):
        root = node(peak, root)
    if len(record) != 11 or record[0] != "recount seal 1" or record[10]:
        raise Wrong("seal.json: the record is none that this knows")
    _, ledger, number, position = record[:4]
    if text != f"{key[0]}\n{number}\n{base64.b64encode(root).decode()}\n":
        raise Wrong("seal.json: the record is not the one that the checkpoint signs")
    if (int(number) - 1).bit_count() != len(peaks):
        raise Wrong("seal.json: the record's place is not the one it says")
    if manifest["seal"] != {"number": int(number), "position": int(position)} or ledger != manifest["ledger"]:
        raise Wrong("manifest.json: speaks of another seal")
    if int(position) < manifest["position"]:
        raise Wrong("manifest.json: the seal does not reach as far as the bundle")
    return strict_base64(record[5]), seal, record


def unhex(text: Any) -> bytes:
    """Return 32 bytes of their hex form."""
    if not isinstance(text, str) or not HEX32.match(text):
        raise ValueError
    return bytes.fromhex(text)


def bit(key: bytes, depth: int) -> int:
    """Return one bit of a key."""
    return key[depth // 8] >> (7 - depth % 8) & 1


def head_of(root: bytes, subject: str, proof: Any) -> tuple[int, str | None]:
    """Return the version and digest that a proof shows of a stream, (0, None) where it shows that there was none."""
    key, place = sha256(subject.encode()), proof["place"]
    siblings = [unhex(s) for s in proof["siblings"]]
    if len(siblings) > 256:
        raise Wrong(f"seal.json: the proof of {subject!a} is too long")
    value, other = EMPTY, None
    if place is not None:
        other, digest = unhex(place["key"]), unhex(place["digest"])
        value = sha256(b"\x00" + other + place["version"].to_bytes(8, "big") + digest)
    for depth in range(len(siblings) - 1, -1, -1):
        value = node(siblings[depth], value) if bit(key, depth) else node(value, siblings[depth])
    if value != root:
        raise Wrong(f"seal.json: the proof of {subject!a} does not lead to the sealed root")
    if other == key:
        return place["version"], place["digest"]
    if other is not None and any(bit(key, d) != bit(other, d) for d in range(len(siblings))):
        raise Wrong(f"seal.json: the proof of {subject!a} shows another stream's place")
    return 0, None


# -- the events -----------------------------------------------------------------------------------------------


def check_events(manifest: dict[str, Any], files: dict[str, bytes]) -> tuple[Heads, Seen]:
    """Return the last version and digest of each stream, once all events follow from one another."""
    heads: Heads = {}
    seen: Seen = {}
    for name in ("events.jsonl", "later.jsonl"):
        raw = files[name]
        if raw and not raw.endswith(b"\n"):
            raise Wrong(f"{name}: does not end with a line feed")
        for number, line in enumerate(raw.split(b"\n")[:-1], 1):
            where = f"{name}, line {number}"
            event = parse(where, line)
            version, digest = event.pop("streamversion"), event.pop("digest")
            unhex(event.pop("fingerprint"))
            subject = event["subject"]
            last, before = heads.get(subject, (0, sha256(b"recount stream 1\n" + subject.encode()).hex()))
            if version != last + 1:
                raise Wrong(f"{where}: is version {version} of {subject!a}, should be {last + 1}")
            if sha256(bytes.fromhex(before or "") + canonical(event)).hex() != digest:
                raise Wrong(f"{where}: does not follow from the event before it in {subject!a}")
            heads[subject] = version, digest
            seen[subject, version] = {
                "event_id": event["id"], "source": event["source"], "type": event["type"], "digest": digest,
            }  # fmt: skip
        if name == "events.jsonl":
            said = {s: {"version": v, "digest": d} for s, (v, d) in heads.items()}
            if said != manifest["streams"]:
                raise Wrong("events.jsonl: has not the streams that the manifest lists")
    return heads, seen


def check_timeline(files: dict[str, bytes], seen: Seen) -> None:
    """See that every number on the pages stands for an event that is there."""
    items = document("timeline.json", files["timeline.json"])
    if not isinstance(items, list):
        raise Wrong("timeline.json: is no list")
    for number, item in enumerate(items, 1):
        event = seen.get((item["subject"], item["version"]))
        if item["number"] != number or event is None or any(item[k] != v for k, v in event.items()):
            raise Wrong(f"timeline.json: number {number} is no event of the bundle")


def stamps_of(seal: dict[str, Any]) -> list[str]:
    """Return which time stamps are there. None is checked: a word for it is as good as its authority's roots are."""
    found = seal["timestamps"]
    if not isinstance(found, list) or len(found) > STAMPS_MAX:
        raise ValueError
    for one in found:
        base64.b64decode(one["token"], validate=True)
    return [
        f"  a time stamp said to be of {one['authority']!a}: not checked here, README.txt says how"
        for one in found
    ]


def check(folder: Path, key: Key) -> list[str]:
    """Check a bundle; return lines that say what it holds. Raises Wrong."""
    try:
        manifest, files = check_files(folder)
        digest = sha256(files["manifest.json"]).hex()
        if (
            signed_text("manifest.sig", files["manifest.sig"], key)
            != f"recount bundle 1\n{key[0]}\n{digest}\n"
        ):
            raise Wrong("manifest.sig: signs another manifest")
        root, seal, record = check_seal(manifest, files, key)
        heads, seen = check_events(manifest, files)
        proofs = seal["proofs"]
        asked = {s for part in manifest["parts"] for s in part["streams"]} | {
            p["subject"] for p in manifest["parts"]
        }
        for subject in sorted({*heads, *asked} - proofs.keys()):
            raise Wrong(f"seal.json: has no proof of {subject!a}")
        for subject, proof in proofs.items():
            if head_of(root, subject, proof) != heads.get(subject, (0, None)):
                raise Wrong(
                    f"{subject!a}: does not end where the seal says it ended: events are left out or put in"
                )
        check_timeline(files, seen)
        stamps = stamps_of(seal)
        asked_of = f"{manifest['subject']} as known at {manifest['known_at']}"
        streams = len(manifest["streams"])
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError, RecursionError):
        raise Wrong("a file has not the form it should have") from None
    events, later = (files[name].count(b"\n") for name in ("events.jsonl", "later.jsonl"))
    return [
        f"{asked_of}: the bundle holds",
        f"  signed by {key[0]}+{key[1].hex()}, seal {record[2]} of {record[9]}",
        f"  {events} events of {streams} streams, none left out or altered",
        f"  {len(proofs) - len(heads)} streams shown not to be there, {later} later events only to reach the seal",
        "It proves: these are all the events of these streams as the operator sealed them, unaltered.",
        *stamps,
        "It does not prove: that what was recorded is true; that no other stream speaks of the matter; the findings",
        "(recount verify computes them again from the events); the pages beside the bundle; when, but by the",
        "operator's clock: this file checks no time stamp.",
    ]


def main(arguments: list[str]) -> int:
    """Check the bundle in a folder, this file's own where none is named."""
    if not 1 <= len(arguments) <= 2:
        sys.stderr.write("usage: python3 check.py KEY [FOLDER]\n")
        return 2
    try:
        key = parse_key(arguments[0])
    except ValueError:
        sys.stderr.write("KEY: should be a public key in the form NAME+ID+KEY\n")
        return 2
    folder = Path(arguments[1]) if len(arguments) == 2 else Path(__file__).absolute().parent
    try:
        sys.stdout.write("\n".join(check(folder, key)) + "\n")
    except Wrong as wrong:
        sys.stderr.write(f"does not hold: {wrong}\n")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
