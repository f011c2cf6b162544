"""A Merkle map of streams to their heads: what the last event of each stream is, or that there is no such stream.

A sparse binary tree over SHA-256(subject): a subtree with one leaf in it is that leaf, an empty one is EMPTY, so that
a proof is as long as the tree is deep, some log2 of the streams. Four levels make a page, which is how it is kept
(as in Diem's Jellyfish Merkle tree): a change costs the pages from a leaf to the root, whatever the map's size.
Pages are read against the hash their parent has for them, so that a page altered in its store is never taken over.
"""

import hashlib
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from domain.evidence import EvidenceError
from domain.evidence.merkle import HASH_BYTES, leaf_hash, node_hash

EMPTY = bytes(HASH_BYTES)
"""The hash of a subtree without a leaf: no SHA-256 of anything is known to be this."""
PAGE_LEVELS = 4
GROUP_DIGITS = 3  # of the key in hex: of ten million streams some 2,400 are in a group
SLOTS = 1 << PAGE_LEVELS
DEPTH_MAX = 8 * HASH_BYTES
_A_LEAF = 0x10


class Leaf(NamedTuple):
    """A stream and its last event."""

    subject: str
    version: int
    digest: bytes

    @property
    def hash(self) -> bytes:
        """The leaf's hash in the tree."""
        return head_hash(key_of(self.subject), self.version, self.digest)


class Place(NamedTuple):
    """A leaf as a proof shows it: by its key, so that a proof about one stream names no other."""

    key: bytes
    version: int
    digest: bytes


Slot = Leaf | bytes
"""A leaf that is alone in its part of the tree, or the hash of the page below."""
Page = dict[int, Slot]
"""The slots in use, by four bits of the key."""
Pages = dict[str, Page]
"""Pages by path: the bits of the key that lead there, in hex. The root's path is empty."""


def key_of(subject: str) -> bytes:
    """Return where a stream stands in the map."""
    return hashlib.sha256(subject.encode()).digest()


def head_hash(key: bytes, version: int, digest: bytes) -> bytes:
    """Return the hash of a leaf: of its key, its version in 8 bytes and its digest."""
    return leaf_hash(key + version.to_bytes(8, "big") + digest)


# -- pages ----------------------------------------------------------------------------------------------------


def encode(page: Page) -> bytes:
    """Return a page as it is kept."""
    found = []
    for number in sorted(page):
        slot = page[number]
        if isinstance(slot, Leaf):
            name = slot.subject.encode()
            found.append(bytes([number | _A_LEAF]) + slot.version.to_bytes(8, "big") + slot.digest)
            found.append(len(name).to_bytes(2, "big") + name)
        else:
            found.append(bytes([number]) + slot)
    return b"".join(found)


def decode(raw: bytes) -> Page:
    """Return the page that was kept; raises EvidenceError where it is none."""
    page: Page = {}
    at = 0
    try:
        while at < len(raw):
            tag, at = raw[at], at + 1
            if tag & _A_LEAF:
                version, digest = int.from_bytes(raw[at : at + 8], "big"), raw[at + 8 : at + 40]
                size = int.from_bytes(raw[at + 40 : at + 42], "big")
                page[tag & ~_A_LEAF] = Leaf(raw[at + 42 : at + 42 + size].decode(), version, digest)
                at += 42 + size
            else:
                page[tag] = raw[at : at + HASH_BYTES]
                at += HASH_BYTES
    except UnicodeDecodeError:
        at = -1
    if at != len(raw) or any(number >= SLOTS for number in page):
        raise EvidenceError("a page of the sealed map is cut or altered")
    return page


_Entry = tuple[bytes, Leaf | None] | None
"""A subtree: its hash, and its leaf where it has but one. None where it is empty."""


def _levels(page: Page) -> list[list[_Entry]]:
    """Return the subtrees of a page level by level: one at the top, one of each slot at the bottom."""
    row: list[_Entry] = [None] * SLOTS
    for number, slot in page.items():
        row[number] = (slot.hash, slot) if isinstance(slot, Leaf) else (slot, None)
    levels = [row]
    while len(row) > 1:
        row = [_joined(row[n], row[n + 1]) for n in range(0, len(row), 2)]
        levels.append(row)
    return levels[::-1]


def _joined(left: _Entry, right: _Entry) -> _Entry:
    if right is None and (left is None or left[1] is not None):
        return left
    if left is None and (right is None or right[1] is not None):
        return right
    return node_hash(left[0] if left else EMPTY, right[0] if right else EMPTY), None


def page_hash(page: Page) -> bytes:
    """Return the hash of the tree below a page."""
    top = _levels(page)[0][0]
    return top[0] if top else EMPTY


def _in_place(page: Page, path: str) -> bool:
    """Whether each leaf stands in the slot of its key: one that is alone has the same hash in another."""
    return all(
        key_of(slot.subject).hex().startswith(f"{path}{number:x}")
        for number, slot in page.items()
        if isinstance(slot, Leaf)
    )


def _slot_number(key: bytes, path: str) -> int:
    """Return which slot of the page at a path a key falls into."""
    byte = key[len(path) // 2]
    return byte & 0x0F if len(path) % 2 else byte >> 4


def gather(root: bytes, keys: Iterable[bytes], load: Callable[[Sequence[str]], Mapping[str, bytes]]) -> Pages:
    """Return the pages from the root to some keys, loaded level by level.

    Raises EvidenceError where a page is not the one its parent (or `root`) speaks of.
    """
    pages: Pages = {}
    frontier: dict[str, tuple[bytes, list[bytes]]] = {"": (root, list(keys))}
    while frontier:
        raw = load(list(frontier))
        below: dict[str, tuple[bytes, list[bytes]]] = {}
        for path, (expected, some) in frontier.items():
            page = decode(raw.get(path, b""))
            if page_hash(page) != expected or not _in_place(page, path):
                raise EvidenceError(f"the page {path or '(root)'} of the sealed map is missing or altered")
            pages[path] = page
            for key in some:
                number = _slot_number(key, path)
                slot = page.get(number)
                if isinstance(slot, bytes):
                    below.setdefault(f"{path}{number:x}", (slot, []))[1].append(key)
        frontier = below
    return pages


def find(pages: Pages, subject: str) -> Leaf | None:
    """Return a stream's leaf in pages gathered for it."""
    key, path = key_of(subject), ""
    while True:
        number = _slot_number(key, path)
        slot = pages[path].get(number)
        if not isinstance(slot, bytes):
            return slot if slot is not None and slot.subject == subject else None
        path = f"{path}{number:x}"


# -- changing -------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Changed:
    """A map after a change: its root, and the pages that became others; one that went is empty."""

    root: bytes
    pages: Pages


def changed(pages: Pages, leaves: Mapping[str, Leaf | None]) -> Changed:
    """Return the map with some streams' leaves put in, replaced, or taken out (None).

    `pages` are those gathered for them.
    """
    incoming = [(key_of(subject), subject, leaf) for subject, leaf in leaves.items()]
    made = Changed(EMPTY, {})
    _change(pages, "", incoming, made)
    made.root = page_hash(made.pages[""])
    return made


_Incoming = list[tuple[bytes, str, Leaf | None]]


def _change(pages: Pages, path: str, incoming: _Incoming, made: Changed) -> Slot | None:
    """Change one page and those below, and return what its parent has for it."""
    page = dict(pages.get(path, {}))
    groups: dict[int, _Incoming] = {}
    for one in incoming:
        groups.setdefault(_slot_number(one[0], path), []).append(one)
    for number, group in groups.items():
        slot = page.pop(number, None)
        if isinstance(slot, Leaf) and slot.subject not in {subject for _, subject, _ in group}:
            group.append((key_of(slot.subject), slot.subject, slot))
        standing = [one for one in group if one[2] is not None]
        if isinstance(slot, bytes) or len(standing) > 1:
            below = _change(pages, f"{path}{number:x}", group, made)
        else:
            below = standing[0][2] if standing else None
        if below is not None:
            page[number] = below
    alone = next(iter(page.values())) if len(page) == 1 else None
    if path and (not page or isinstance(alone, Leaf)):
        made.pages[path] = {}
        return alone
    made.pages[path] = page
    return page_hash(page)


def built(leaves: Iterable[Leaf], keys: Iterable[bytes]) -> tuple[bytes, Pages]:
    """Return the root of the map of leaves that come in the order of their keys, and its pages on the way to some.

    No more of them is in memory than those of one group: for a map that no store has.
    """
    wanted = {key.hex()[:GROUP_DIGITS] for key in keys}
    pages: Pages = {}
    slots: dict[str, Slot] = {}
    keyed = ((key_of(leaf.subject), leaf.subject, leaf) for leaf in leaves)
    for path, group in itertools.groupby(keyed, lambda one: one[0].hex()[:GROUP_DIGITS]):
        made = Changed(EMPTY, {})
        slot = _change({}, path, list(group), made)
        assert slot is not None
        slots[path] = slot
        if path in wanted:
            pages |= made.pages
    while "" not in pages:
        above: dict[str, Page] = {}
        for path, slot in slots.items():
            above.setdefault(path[:-1], {})[int(path[-1], 16)] = slot
        slots = {}
        for path, page in above.items() if above else [("", Page())]:
            alone = next(iter(page.values())) if len(page) == 1 else None
            if path and isinstance(alone, Leaf):
                slots[path] = alone
            else:
                pages[path] = page
                slots[path] = page_hash(page)
    return page_hash(pages[""]), pages


# -- proofs ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Proof:
    """What stands beside a stream's way from the root, the root's children first, and what stands at its end.

    `place` is the stream's own leaf; or, where there is no such stream, the only leaf that stands there instead, or
    None where nothing does.
    """

    siblings: tuple[bytes, ...]
    place: Place | None


def prove(pages: Pages, subject: str) -> Proof:
    """Return the proof of a stream's leaf, or that it has none, from pages gathered for it."""
    key, path = key_of(subject), ""
    siblings: list[bytes] = []
    while True:
        number = _slot_number(key, path)
        levels = _levels(pages[path])
        for level, row in enumerate(levels):
            here = row[number >> (PAGE_LEVELS - level)]
            if here is None:
                return Proof(tuple(siblings), None)
            if here[1] is not None:
                leaf = here[1]
                return Proof(tuple(siblings), Place(key_of(leaf.subject), leaf.version, leaf.digest))
            if level < PAGE_LEVELS:
                beside = levels[level + 1][(number >> (PAGE_LEVELS - level - 1)) ^ 1]
                siblings.append(beside[0] if beside else EMPTY)
        path = f"{path}{number:x}"


def head_of(root: bytes, subject: str, proof: Proof) -> tuple[int, bytes] | None:
    """Return the version and digest that a proof shows for a stream, None where it shows that there is none.

    Raises EvidenceError where it proves nothing under this root.
    """
    key, place = key_of(subject), proof.place
    if len(proof.siblings) > DEPTH_MAX:
        raise EvidenceError(f"the proof of {subject} is longer than the map is deep")
    value = EMPTY if place is None else head_hash(place.key, place.version, place.digest)
    for depth in range(len(proof.siblings) - 1, -1, -1):
        beside = proof.siblings[depth]
        value = node_hash(beside, value) if _bit(key, depth) else node_hash(value, beside)
    if value != root:
        raise EvidenceError(f"the proof of {subject} does not lead to the sealed root")
    if place is None:
        return None
    if place.key == key:
        return place.version, place.digest
    if any(_bit(key, depth) != _bit(place.key, depth) for depth in range(len(proof.siblings))):
        raise EvidenceError(f"the proof of {subject} shows a leaf that does not stand in its place")
    return None


def _bit(key: bytes, depth: int) -> int:
    return key[depth // 8] >> (7 - depth % 8) & 1
