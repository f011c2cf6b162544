"""A Merkle log by RFC 6962: leaves and nodes kept apart by their first byte, grown one leaf at a time.

The last leaf's inclusion proof is nothing but the peaks before it: the roots of the perfect trees that the earlier
leaves make, the largest first. Who has them can add a leaf without reading the others.
"""

import hashlib
from collections.abc import Iterable, Sequence

HASH_BYTES = 32
LEAF, NODE = b"\x00", b"\x01"

Peaks = tuple[bytes, ...]


def leaf_hash(data: bytes) -> bytes:
    """Return the hash of a leaf."""
    return hashlib.sha256(LEAF + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of a node over two others."""
    return hashlib.sha256(NODE + left + right).digest()


def grown(peaks: Sequence[bytes], size: int, leaf: bytes) -> Peaks:
    """Return the peaks of a log with one more leaf; `size` is how many leaves stand under `peaks`."""
    found = [*peaks, leaf]
    while size & 1:
        right = found.pop()
        found[-1] = node_hash(found[-1], right)
        size >>= 1
    return tuple(found)


def root_of(peaks: Sequence[bytes]) -> bytes:
    """Return the log's root."""
    if not peaks:
        return hashlib.sha256(b"").digest()
    root = peaks[-1]
    for peak in reversed(peaks[:-1]):
        root = node_hash(peak, root)
    return root


def root_with_last(before: Sequence[bytes], size: int, leaf: bytes) -> bytes | None:
    """Return the root of a log of `size` leaves from its last leaf and the peaks before; None if they do not fit."""
    if size < 1 or len(before) != (size - 1).bit_count():
        return None
    return root_of([*before, leaf])


def log_root(leaves: Iterable[bytes]) -> bytes:
    """Return the root over the hashes of all leaves."""
    peaks: Peaks = ()
    for size, leaf in enumerate(leaves):
        peaks = grown(peaks, size, leaf)
    return root_of(peaks)
