"""Time stamps: an authority answers over HTTP or not, and a seal stands either way; roots say whose word it is."""

import hashlib
import json
import random
import warnings
from datetime import UTC, datetime

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID

from api.cli import main
from api.dossier import check as shipped
from api.dossier import compose, folder_files, write_folder
from api.dossier.verifying import check_bundle
from api.runtime import Runtime, present
from api.sealing import document, line, seal_one
from domain.evidence import EvidenceError
from domain.ledger import timestamping
from domain.ledger.seals import Seals
from domain.ledger.timestamping import Roots, RootsError, checked, stamp
from projections.engine import verify
from tests.authority import DAY, Authority, Certified, listening, pem
from tests.sealing import KEY, NAME, ORIGIN, as_owner, sealed_three_times
from tests.support import LEDGER, bring, opening_line

CHECKPOINT = b"ledger.example.com/heilongjiang\n1\n"
IMPRINT = hashlib.sha256(CHECKPOINT).digest()
NOW = datetime.now(UTC)


def trusting(*authorities):
    """Return the roots of some authorities, as they come from a file."""
    return Roots.parse(pem(*(one.root.certificate for one in authorities)), "roots.pem")


@pytest.fixture(scope="module")
def authority():
    return Authority()


# -- the chain ------------------------------------------------------------------------------------------------


def test_a_stamp_that_leads_to_a_trusted_root_says_its_time_and_signer(authority):
    """Given signer, intermediate and root, then the stamp is trusted; without roots it is only what it says."""
    token = authority.stamp(IMPRINT, at=datetime(2026, 11, 28, 5, 0, tzinfo=UTC))
    found = checked(token, CHECKPOINT, trusting(authority))
    assert (found.at.isoformat(), found.signer, found.trusted) == (
        "2026-11-28T05:00:00+00:00", "CN=authority signer", True,
    )  # fmt: skip
    assert not checked(token, CHECKPOINT, None).trusted


def test_only_a_root_is_trusted_and_certificates_between_come_from_the_stamp_or_the_file(authority):
    """Given another's root, then not trusted; given an intermediate that the stamp lacks, then the file may have it."""
    other = Authority("other")
    assert not checked(authority.stamp(IMPRINT), CHECKPOINT, trusting(other)).trusted
    same_names = Authority()
    with pytest.raises(EvidenceError, match="certificate signature failure"):
        checked(authority.stamp(IMPRINT), CHECKPOINT, trusting(same_names))
    short = Authority("short")
    short.embedded = (short.signer.certificate,)
    token = short.stamp(IMPRINT)
    assert not checked(token, CHECKPOINT, trusting(short)).trusted
    both = pem(short.intermediate.certificate, short.root.certificate)
    assert checked(token, CHECKPOINT, Roots.parse(both, "roots.pem")).trusted
    beside = pem(short.intermediate.certificate, other.root.certificate)  # between is not trusted by itself
    assert not checked(token, CHECKPOINT, Roots.parse(beside, "roots.pem")).trusted


@pytest.mark.parametrize(
    ("signer", "says"),
    [
        ({"until": NOW - DAY}, "certificate has expired"),
        ({"since": NOW + DAY}, "certificate is not yet valid"),
        ({"usages": [ExtendedKeyUsageOID.CODE_SIGNING]}, "unsuitable certificate purpose"),
        ({"usages": [ExtendedKeyUsageOID.TIME_STAMPING, ExtendedKeyUsageOID.SERVER_AUTH]}, "unsuitable"),
        ({"usages": []}, "unsuitable certificate purpose"),
        ({"critical": False}, "unsuitable certificate purpose"),
        ({"ca": True}, "a key that makes certificates"),
    ],
    ids=["expired", "not-yet", "other-usage", "two-usages", "no-usage", "usage-not-critical", "authority"],
)
def test_a_certificate_that_is_not_for_stamping_now_is_wrong(signer, says):
    """Given a signer whose certificate is not valid at the stamped time, or not made for stamping, then it is wrong."""
    one = Authority(**signer)
    with pytest.raises(EvidenceError, match=says):
        checked(one.stamp(IMPRINT), CHECKPOINT, trusting(one))


def test_a_certificate_counts_as_it_was_at_the_stamped_time():
    """Given a certificate that has expired since, then what it stamped before stands, and nothing after."""
    one = Authority(until=NOW - DAY)
    assert checked(one.stamp(IMPRINT, at=NOW - 2 * DAY), CHECKPOINT, trusting(one)).trusted
    late = Authority()
    late.intermediate = Certified("late", late.root, until=NOW - DAY)
    late.signer = Certified(
        "late signer", late.intermediate, ca=False, usages=[ExtendedKeyUsageOID.TIME_STAMPING]
    )
    late.embedded = (late.signer.certificate, late.intermediate.certificate)
    with pytest.raises(EvidenceError, match="certificate has expired"):
        checked(late.stamp(IMPRINT), CHECKPOINT, trusting(late))


def test_a_stamp_of_something_else_or_with_another_signature_is_wrong(authority):
    """Given another imprint, another algorithm or a signature by another key, then the stamp is wrong."""
    roots = trusting(authority)
    with pytest.raises(EvidenceError, match="of something else"):
        checked(authority.stamp(hashlib.sha256(b"other").digest()), CHECKPOINT, roots)
    sha1 = bytes.fromhex("300906052b0e03021a0500")
    with pytest.raises(EvidenceError, match="of something else"):
        checked(authority.stamp(IMPRINT, algorithm=sha1), CHECKPOINT, roots)
    forged = Authority("forged")
    forged.signer.key = Certified("thief").key
    with pytest.raises(EvidenceError, match="its signature is not valid"):
        checked(forged.stamp(IMPRINT), CHECKPOINT, trusting(forged))


def test_no_flipped_bit_makes_another_stamp_trusted(authority):
    """Given each byte of a stamp flipped, then it is refused or not trusted, or says to the letter what it said.

    (The last are what a signature of this form does not cover: two version numbers, the name of its own algorithm.)
    """
    roots, token = trusting(authority), authority.stamp(IMPRINT)
    said, still = checked(token, CHECKPOINT, roots), 0
    for at in range(len(token)):
        for flipped in (1, 32, 128):
            other = token[:at] + bytes([token[at] ^ flipped]) + token[at + 1 :]
            try:
                found = quietly(other, roots)
            except EvidenceError:
                continue
            assert found == said or not found.trusted
            still += found.trusted
    assert still <= 40


@pytest.mark.parametrize("seed", range(20))
def test_whatever_comes_as_a_stamp_is_refused_in_one_line(authority, seed):
    """Given a stamp cut, filled or mixed up at random, then nothing but EvidenceError comes of it."""
    chance, roots, whole = random.Random(seed), trusting(authority), authority.stamp(IMPRINT)
    said = checked(whole, CHECKPOINT, roots)
    for _ in range(100):
        token = bytearray(whole)
        for _ in range(chance.randint(1, 4)):
            at = chance.randrange(len(token) + 1)
            token[at : at + chance.randrange(40)] = chance.randbytes(chance.randrange(40))
        try:
            found = quietly(bytes(token), roots)
        except EvidenceError:
            continue
        assert found == said or not found.trusted


def quietly(token, roots):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what a library thinks of a broken certificate
        return checked(token, CHECKPOINT, roots)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "should hold certificates in PEM form"),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "should hold certificates"),
        (b"x" * (timestamping.ROOTS_MAX_BYTES + 1), "is longer than"),
        (None, "can't be read"),
        ("between", "holds no root"),
    ],
)
def test_a_file_that_holds_no_root_is_refused_by_name(authority, tmp_path, content, says):
    """Given a file of roots that is empty, none, too long, missing or without a root, then one line says what."""
    path = tmp_path / "roots.pem"
    if content is not None:
        path.write_bytes(pem(authority.intermediate.certificate) if content == "between" else content)
    with pytest.raises(RootsError, match=f"roots.pem: {says}"):
        Roots.read(path)


# -- seals ----------------------------------------------------------------------------------------------------


@pytest.fixture
def url(authority):
    """Return the address at which the authority answers."""
    authority.broken = None
    with listening(authority) as address:
        yield address


@pytest.fixture
def roots_file(authority, tmp_path):
    path = tmp_path / "roots.pem"
    path.write_bytes(pem(authority.root.certificate))
    return path


def verdict(deployment, roots=None):
    """Return what a full check says of the time stamps, and what it finds wrong."""
    found = verify(
        deployment.ledger(LEDGER), [], present(),
        sample=None, keys=lambda origin: [KEY.named(origin)], roots=roots,
    )  # fmt: skip
    return found.seals.stamps, [d.text for d in found.differences]


@pytest.mark.storage
def test_a_seal_is_stamped_and_those_that_were_not_are_stamped_later(deployment, authority, url, roots_file):
    """Given an authority that fails and comes back, then every seal stands at once and is stamped in the end."""
    sealed_three_times(deployment)
    ledger = deployment.ledger(LEDGER)
    authority.broken = b"out of order"
    runtime = Runtime(deployment, seal_key=lambda: KEY, seal_name=NAME, tsa_url=url, tsa_roots=roots_file)
    bring(deployment, opening_line("A4"))
    sealed = seal_one(runtime, ledger)
    assert (sealed.made, sealed.seal.number, Seals(ledger).timestamps(4)) == (True, 4, [])
    assert "can't be read" in document(sealed)["time_stamp"]
    authority.broken = None
    again = document(seal_one(runtime, ledger))
    assert (again["made"], again["time_stamp"]) == (False, "granted")
    assert line(again).endswith(", time stamp: granted")
    assert stamp(ledger, url, present) == (0, None)
    (seen,), wrong = verdict(deployment, trusting(authority))
    assert (seen.authority, seen.trusted, seen.not_trusted, seen.wrong, wrong) == (url, 4, 0, 0, [])
    (seen,), wrong = verdict(deployment)
    assert (seen.trusted, seen.not_trusted, wrong) == (0, 4, [])
    (seen,), wrong = verdict(deployment, trusting(Authority("other")))
    assert (seen.not_trusted, len(wrong)) == (4, 4)
    assert wrong[0] == f"seal 1, time stamp of {url}: leads to no root that is trusted"


@pytest.mark.storage
def test_a_stamp_by_an_authority_that_is_not_trusted_is_not_kept(deployment, url, tmp_path):
    """Given roots beside the address, then a stamp that leads to none of them is not kept, and the reason is told."""
    bring(deployment, opening_line("A1"))
    path = tmp_path / "roots.pem"
    path.write_bytes(pem(Authority("other").root.certificate))
    runtime = Runtime(deployment, seal_key=lambda: KEY, seal_name=NAME, tsa_url=url, tsa_roots=path)
    sealed = seal_one(runtime, deployment.ledger(LEDGER))
    assert (sealed.made, sealed.stamp) == (True, "the authority is not one of those that are trusted")
    path.unlink()
    assert "can't be read" in seal_one(runtime, deployment.ledger(LEDGER)).stamp
    assert Seals(deployment.ledger(LEDGER)).timestamps(1) == []


@pytest.mark.storage
def test_an_authority_that_is_not_there_or_answers_too_much_hinders_nothing(deployment, authority, url):
    """Given an address where nobody answers, or without end, then the seal stands and the reason is told."""
    bring(deployment, opening_line("A1"))
    ledger = deployment.ledger(LEDGER)
    runtime = Runtime(deployment, seal_key=lambda: KEY, seal_name=NAME, tsa_url="http://127.0.0.1:9/")
    sealed = seal_one(runtime, ledger)
    assert sealed.made
    assert sealed.stamp
    authority.broken = bytes(10_000_000)
    assert stamp(ledger, url, present) == (0, "the time stamp is too long")
    authority.broken = authority.stamp(IMPRINT)
    assert stamp(ledger, url, present) == (0, "the time stamp is of something else")
    checkpoint = sealed.seal.checkpoint
    authority.broken = authority.stamp(hashlib.sha256(checkpoint).digest(), nonce=7)
    assert stamp(ledger, url, present) == (0, "the authority answered another request")


@pytest.mark.storage
def test_a_stamp_of_another_seal_is_found(deployment, url):
    """Given the stamp of one seal put to another, when verified, then it is told, with and without roots."""
    sealed_three_times(deployment)
    assert stamp(deployment.ledger(LEDGER), url, present) == (3, None)
    assert verdict(deployment)[1] == []
    as_owner(
        deployment,
        "UPDATE seal_timestamp SET token = (SELECT token FROM seal_timestamp WHERE seal = 1) WHERE seal = 2",
    )
    (seen,), wrong = verdict(deployment)
    assert (seen.not_trusted, seen.wrong) == (2, 1)
    assert wrong == [f"seal 2, time stamp of {url}: the time stamp is of something else"]


# -- bundles --------------------------------------------------------------------------------------------------


@pytest.fixture
def bundle(deployment, url, tmp_path):
    """Return the bundle of a dossier whose seal is stamped."""
    bring(deployment, opening_line("A1"))
    runtime = Runtime(deployment, seal_key=lambda: KEY, seal_name=NAME, tsa_url=url)
    made = document(seal_one(runtime, deployment.ledger(LEDGER)))
    assert made["time_stamp"] == "granted, its authority not checked"
    write_folder(folder_files(compose(runtime, "account/A1", known_at="2030-01-01")), tmp_path / "out")
    return tmp_path / "out" / "bundle"


@pytest.mark.storage
def test_a_bundle_brings_its_stamp_and_only_the_roots_named_are_trusted(bundle, authority, url):
    """Given the bundle of a stamped seal, then it says when and by whom; the shipped checker says it did not look."""
    trusted = [KEY.named(ORIGIN)]
    (held,) = check_bundle(bundle, trusted, trusting(authority)).stamps
    assert (held.authority, held.signer, held.trusted) == (url, "CN=authority signer", True)
    assert not check_bundle(bundle, trusted).stamps[0].trusted
    with pytest.raises(EvidenceError, match="leads to no root that is trusted"):
        check_bundle(bundle, trusted, trusting(Authority("other")))
    said = shipped.check(bundle, shipped.parse_key(str(KEY.named(ORIGIN))))
    assert f"  a time stamp said to be of {url!a}: not checked here, README.txt says how" in said


@pytest.mark.storage
def test_verify_tells_offline_whether_a_bundles_stamp_is_trusted(bundle, roots_file, monkeypatch, capsys):
    """Given no ledger at hand, then the command says stamped, or that the authority is not trusted."""
    asked = ["verify", str(bundle), "--key", str(KEY.named(ORIGIN))]
    monkeypatch.setenv("DATABASE_URL", "postgresql://nobody@127.0.0.1:9/none")
    assert main([*asked, "--tsa-roots", str(roots_file)]) == 0
    assert "by CN=authority signer (http://127.0.0.1" in capsys.readouterr().out
    assert main(asked) == 0
    assert "but the authority is not trusted" in capsys.readouterr().out
    monkeypatch.setenv("RECOUNT_TSA_ROOTS", str(roots_file))
    assert main([*asked, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["stamps"][0]["trusted"]
    monkeypatch.setenv("RECOUNT_TSA_ROOTS", str(roots_file.with_name("none.pem")))
    assert main(asked) == 1
    assert "none.pem: can't be read" in capsys.readouterr().err
