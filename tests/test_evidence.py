"""Digests, trees and checkpoints: what they are to the byte, and that no other content comes to the same."""

import base64
import hashlib
import random
from datetime import UTC, datetime
from pathlib import Path

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.evidence import EvidenceError
from domain.evidence.headmap import (
    EMPTY,
    Leaf,
    Place,
    Proof,
    built,
    changed,
    decode,
    encode,
    gather,
    head_of,
    key_of,
    page_hash,
    prove,
)
from domain.evidence.merkle import grown, leaf_hash, log_root, node_hash, root_of, root_with_last
from domain.evidence.records import (
    Checkpoint,
    Record,
    parse_checkpoint,
    parse_key,
    parse_note,
    parse_record,
    verifier_key,
)
from domain.ledger.signing import SealKey, opened

GOLDEN = Path(__file__).parent / "golden" / "seals.json"
VECTORS = orjson.loads(GOLDEN.read_bytes())
KEY = SealKey(bytes(range(64, 96)))

# -- against the specifications -----------------------------------------------------------------------------

RFC6962_LEAVES = [
    bytes.fromhex(h)
    for h in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
RFC6962_ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
"""The vectors that implementations of Certificate Transparency test themselves with."""


def test_the_log_of_seals_is_that_of_rfc_6962():
    """Given the known leaves, then every root is the known one, grown leaf by leaf or from the last and its peaks."""
    peaks = ()
    for size, data in enumerate(RFC6962_LEAVES, 1):
        before, peaks = peaks, grown(peaks, size - 1, leaf_hash(data))
        assert root_of(peaks).hex() == RFC6962_ROOTS[size - 1]
        assert root_with_last(before, size, leaf_hash(data)) == root_of(peaks)
        assert log_root(map(leaf_hash, RFC6962_LEAVES[:size])) == root_of(peaks)
        assert root_with_last((*before, EMPTY), size, leaf_hash(data)) is None
    assert root_of(()) == hashlib.sha256(b"").digest()


EXAMPLE_KEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
EXAMPLE_NOTE = (
    "This is an example message.\n\n— example.com/foo"
    " Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
).encode()


def test_a_note_is_that_of_the_specification():
    """Given the example of c2sp.org/signed-note, then its key opens it, and no other does."""
    key = parse_key(EXAMPLE_KEY)
    assert str(key) == EXAMPLE_KEY
    assert opened(EXAMPLE_NOTE, [key]) == b"This is an example message.\n"
    with pytest.raises(EvidenceError, match="not signed with a trusted key"):
        opened(EXAMPLE_NOTE, [KEY.named("example.com/foo")])
    with pytest.raises(EvidenceError, match="is not valid"):
        opened(EXAMPLE_NOTE.replace(b"example m", b"exemple m"), [key])


def test_a_witness_may_sign_as_well():
    """Given a second signature nobody here knows, then the note is still the log's."""
    note = (
        KEY.signed("log", b"text\n") + SealKey(bytes(32)).signed("witness", b"text\n").rpartition(b"\n\n")[2]
    )
    assert opened(note, [KEY.named("log")]) == b"text\n"


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"text\n", b"text\n\n", b"\n\n\xe2\x80\x94 a AAAAAAA=\n", b"text\n\n- a AAAAAAA=\n",
        b"te\x00xt\n\n\xe2\x80\x94 a AAAAAAA=\n", b"text\n\n\xe2\x80\x94 a+b AAAAAAA=\n",
        b"text\n\n\xe2\x80\x94 a AAAA\n", b"text\n\n\xe2\x80\x94 a AAAAAAA=",
        b"text\n\n\xe2\x80\x94 a AAAAAAB=\n", b"\xff\n\n\xe2\x80\x94 \xff AAAAAAA=\n",
        b"text\n\n" + b"\xe2\x80\x94 a AAAAAAA=\n" * 33, b"x" * 20_000,
    ],
)  # fmt: skip
def test_what_is_no_note_is_refused(raw):
    with pytest.raises(EvidenceError, match="note"):
        parse_note(raw)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "a+b+c",
        EXAMPLE_KEY[:-1],
        EXAMPLE_KEY.replace("530d", "530e"),
        EXAMPLE_KEY.replace("+Ae", "+Au"),
    ],
)
def test_what_is_no_key_is_refused(text):
    with pytest.raises(EvidenceError, match="key"):
        parse_key(text)


@pytest.mark.parametrize("name", ["", "a b", "a+b", "ä", "a\n", "x" * 201])
def test_a_name_that_no_note_can_have_is_refused(name):
    with pytest.raises(EvidenceError, match="can't name a log"):
        verifier_key(name, bytes(32))


@pytest.mark.parametrize(
    "text", [b"a\n1\nAA==\n", b"a\n01\n" + base64.b64encode(bytes(32)) + b"\n", b"a\n1\n", b"\xff"]
)
def test_what_is_no_checkpoint_is_refused(text):
    with pytest.raises(EvidenceError, match="is no checkpoint"):
        parse_checkpoint(text)


# -- frozen -------------------------------------------------------------------------------------------------


def map_of(leaves):
    """Return the map of some leaves, put in one by one: its root and how its pages are kept."""
    root, store = EMPTY, {}
    for leaf in leaves:
        root = put(store, root, {leaf.subject: leaf})
    return root, store


def put(store, root, leaves):
    pages = gather(root, map(key_of, leaves), lambda paths: {p: store[p] for p in paths if p in store})
    made = changed(pages, leaves)
    for path, page in made.pages.items():
        store[path] = encode(page)
    return made.root


def test_the_vectors_are_what_they_were():
    """What was sealed once stays provable: keys, leaves, roots, proofs, records and checkpoints, to the byte."""
    leaves = [Leaf(v["subject"], v["version"], bytes.fromhex(v["digest"])) for v in VECTORS["leaves"]]
    for leaf, vector in zip(leaves, VECTORS["leaves"], strict=True):
        assert (key_of(leaf.subject).hex(), leaf.hash.hex()) == (vector["key"], vector["hash"])
    root, store = map_of(leaves)
    assert root.hex() == VECTORS["root"]
    for subject, vector in VECTORS["proofs"].items():
        pages = gather(root, [key_of(subject)], lambda paths: {p: store[p] for p in paths if p in store})
        proof = prove(pages, subject)
        assert [s.hex() for s in proof.siblings] == vector["siblings"]
        place = proof.place and [proof.place.key.hex(), proof.place.version, proof.place.digest.hex()]
        assert place == vector["place"]
    record = parse_record(VECTORS["record"].encode())
    assert record.text().decode() == VECTORS["record"]
    assert record.hash.hex() == VECTORS["record_hash"]
    checkpoint = Checkpoint("ledger.example.com/heilongjiang", 1, record.hash)
    assert KEY.signed(checkpoint.origin, checkpoint.text()).decode() == VECTORS["checkpoint"]
    assert str(KEY.named(checkpoint.origin)) == VECTORS["key"]


RECORD = Record(
    "heilongjiang",
    2,
    10,
    3,
    bytes(32),
    bytes(32),
    bytes(32),
    bytes(32),
    datetime(2014, 12, 17, 1, 2, 3, 4, UTC),
)


@pytest.mark.parametrize(
    "text",
    [
        "", "recount seal 1\n", RECORD.text().decode()[:-1], RECORD.text().decode() + "\n",
        RECORD.text().decode().replace("\n10\n", "\n010\n"), RECORD.text().decode().replace("seal 1", "seal 2"),
        RECORD.text().decode().replace("+00:00", "Z"), RECORD.text().decode().replace("AA=", "AB="),
    ],
)  # fmt: skip
def test_a_record_has_one_form(text):
    assert parse_record(RECORD.text()) == RECORD
    with pytest.raises(EvidenceError, match="is no record of a seal"):
        parse_record(text.encode())


# -- laws of the map ----------------------------------------------------------------------------------------


def naive(leaves, depth=0):
    """Return the root of a map by its definition."""
    if len(leaves) < 2:
        return leaves[0].hash if leaves else EMPTY
    sides = [
        [x for x in leaves if key_of(x.subject)[depth // 8] >> (7 - depth % 8) & 1 == side] for side in (0, 1)
    ]
    return node_hash(*(naive(side, depth + 1) for side in sides))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 60))
def test_the_map_is_a_function_of_its_leaves_however_they_came(seed, most):
    """Given leaves put in, replaced and taken out in any batches, then the root is the definition's."""
    chance = random.Random(seed)
    root, store, leaves = EMPTY, {}, {}
    for _ in range(4):
        change = {}
        for number in chance.choices(range(60), k=most):
            subject = f"account/{number}"
            change[subject] = (
                Leaf(subject, chance.randint(1, 9), chance.randbytes(32)) if chance.random() < 0.7 else None
            )
        root = put(store, root, change)
        leaves = {s: x for s, x in {**leaves, **change}.items() if x is not None}
        assert root == naive(list(leaves.values()))
    for subject in [*leaves, *(f"party/{n}" for n in range(5))]:
        pages = gather(root, [key_of(subject)], lambda paths: {p: store[p] for p in paths if p in store})
        leaf = leaves.get(subject)
        assert head_of(root, subject, prove(pages, subject)) == (leaf and (leaf.version, leaf.digest))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 300))
def test_a_map_built_in_one_go_is_the_same(seed, count):
    """Given leaves in the order of their keys, then root and proofs are those of the map they were put into."""
    chance = random.Random(seed)
    leaves = [Leaf(f"account/{n}", chance.randint(1, 9), chance.randbytes(32)) for n in range(count)]
    root, store = map_of(leaves)
    subjects = [f"account/{n}" for n in range(0, count + 9, 7)]
    ordered = sorted(leaves, key=lambda leaf: key_of(leaf.subject))
    made, pages = built(ordered, map(key_of, subjects))
    assert made == root
    for subject in subjects:
        assert prove(pages, subject) == proof_of(root, store, subject)


@pytest.fixture(scope="module")
def hundred():
    leaves = [Leaf(f"account/{n}", n + 1, hashlib.sha256(b"%d" % n).digest()) for n in range(100)]
    return leaves, *map_of(leaves)


def proof_of(root, store, subject):
    pages = gather(root, [key_of(subject)], lambda paths: {p: store[p] for p in paths if p in store})
    return prove(pages, subject)


def test_a_proof_of_another_head_another_stream_or_of_none_does_not_hold(hundred):
    """Given a proof, when version, digest, place or a sibling is another, then it leads to no sealed root."""
    leaves, root, store = hundred
    leaf = leaves[7]
    proof = proof_of(root, store, leaf.subject)
    key = key_of(leaf.subject)
    others = [
        Proof(proof.siblings, Place(key, leaf.version - 1, leaf.digest)),
        Proof(proof.siblings, Place(key, leaf.version, bytes(32))),
        Proof(proof.siblings, Place(key_of("account/8"), leaf.version, leaf.digest)),
        Proof(proof.siblings, None),
        Proof(proof.siblings[:-1], proof.place),
        Proof((*proof.siblings, EMPTY), proof.place),
        Proof((EMPTY,) * 257, proof.place),
        *(
            Proof((*proof.siblings[:n], bytes(31) + b"\1", *proof.siblings[n + 1 :]), proof.place)
            for n in range(len(proof.siblings))
        ),
    ]
    for other in others:
        with pytest.raises(EvidenceError, match="account/7"):
            head_of(root, leaf.subject, other)


def test_a_stream_that_is_there_can_not_be_shown_to_be_absent(hundred):
    """Given the leaf of another stream with its own proof, then it shows nothing of the stream that is asked."""
    leaves, root, store = hundred
    for other in leaves[:30]:
        if other.subject != "account/50":
            with pytest.raises(EvidenceError):
                head_of(root, "account/50", proof_of(root, store, other.subject))


def test_a_page_that_was_altered_is_never_used(hundred):
    """Given any byte of any kept page altered, then reading over it is refused."""
    leaves, root, store = hundred
    keys = [key_of(leaf.subject) for leaf in leaves]
    for path, content in store.items():
        for at in range(0, len(content), 7):
            altered = {**store, path: content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]}
            with pytest.raises(EvidenceError):
                gather(
                    root, keys, lambda paths, altered=altered: {p: altered[p] for p in paths if p in altered}
                )
        assert page_hash(decode(content)) == page_hash(decode(encode(decode(content))))
