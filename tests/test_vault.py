"""The vault: personal data opens only where it belongs, only with its keys, and never again once they are gone."""

import base64
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import orjson
import pytest

from api.runtime import opened
from api.settings import Settings
from domain.events.envelope import parse_event
from domain.events.fields import TEXT_MAX_CHARS
from domain.ledger.application import PostgresKeys
from domain.ledger.codec import canonical
from domain.ledger.interchange import export_plain
from domain.ledger.sealing import Ownership, seal_all
from domain.ledger.vault import MasterKey, MemoryKeys, Secrets, Vault, VaultError
from tests import support
from tests.conftest import HARBIN, import_file, opened_deployment
from tests.golden_format import fixed_vault
from tests.support import CLEAR, LEDGER, asked, bring, event_line, opening_line, receipt

storage = pytest.mark.storage


def registered(event_id="e1", subject="party/P1"):
    """Return a registration as it arrives."""
    data = {"kind": "individual", "id_type": "resident_id", **CLEAR}
    return parse_event(orjson.loads(event_line(event_id, "PartyRegistered", subject, data)))


def sealed(vault, keys, *events):
    """Return events sealed, each for its own stream's party."""
    return seal_all(vault, keys, Ownership(), events)


def clear(event):
    """Return an event's personal data, None where it stays sealed."""
    return {name: getattr(event.data, name).clear for name in event.data.PERSONAL}


# -- sealing ------------------------------------------------------------------------------------------------


def test_what_is_sealed_opens_again_and_shows_nothing_before():
    """Given personal data, when it is sealed and opened, then it is the same, and nothing stood there in clear."""
    vault, keys = fixed_vault()
    (event,) = sealed(vault, keys, registered())
    assert clear(event) == dict.fromkeys(CLEAR)
    assert not any(value in str([p.wire() for p in vars_of(event)]) for value in CLEAR.values())
    assert clear(vault.open(event, keys)) == CLEAR
    vault.forget()
    assert clear(vault.open(event, keys)) == CLEAR


def vars_of(event):
    """Return an event's personal values."""
    return [getattr(event.data, name) for name in event.data.PERSONAL]


@pytest.mark.parametrize("character", ["a", "欠", "𠀀"])
def test_the_longest_text_in_any_script_can_be_read_again(character):
    """Given personal data as long as it may be, when it was sealed and stored, then it is read and opens."""
    vault, keys = fixed_vault()
    text = character * TEXT_MAX_CHARS
    data = {"kind": "individual", "id_type": "resident_id", **CLEAR, "address": text}
    event = parse_event(orjson.loads(event_line("e1", "PartyRegistered", "party/P1", data)))
    (stored,) = sealed(vault, keys, event)
    again = parse_event(orjson.loads(canonical(stored)))
    assert again == stored
    assert clear(vault.open(again, keys))["address"] == text


def test_the_same_text_is_sealed_otherwise_each_time():
    """Given one name in two events, when both are sealed, then the ciphertexts tell nothing of it."""
    vault = Vault(MasterKey(bytes(32)), Secrets(bytes(32)))
    one, two = sealed(vault, MemoryKeys(), registered("e1"), registered("e2"))
    assert one.data.name.key_id == two.data.name.key_id
    assert one.data.name.sealed != two.data.name.sealed


@pytest.mark.parametrize("moved", ["event", "source", "field", "text"])
def test_a_ciphertext_that_was_moved_or_altered_does_not_open(moved):
    """Given a sealed value, when it stands elsewhere or was changed, then VaultError names event and field."""
    vault, keys = fixed_vault()
    (event,) = sealed(vault, keys, registered())
    raw = bytearray(base64.b64decode(event.data.name.sealed))
    raw[-1] ^= 1
    changed = {
        "event": replace(event, id="e2"),
        "source": replace(event, source="urn:other"),
        "field": replace(event, data=replace(event.data, name=event.data.address)),
        "text": replace(
            event,
            data=replace(event.data, name=replace(event.data.name, sealed=base64.b64encode(raw).decode())),
        ),
    }[moved]
    with pytest.raises(VaultError, match=rf"{changed.source}#{changed.id}: data\.\w+ was altered or moved"):
        vault.open(changed, keys)


def test_an_identity_document_is_found_by_its_keyed_hash_and_by_no_guess():
    """Given one document in two registrations, when sealed, then both have its keyed hash, and no plain one."""
    vault, keys = fixed_vault()
    one, two = sealed(vault, keys, registered("e1", "party/P1"), registered("e2", "party/P2"))
    keyed = vault.secrets.identity_hash(CLEAR["id_hash"])
    assert one.data.id_hash.hmac == two.data.id_hash.hmac == keyed
    assert one.data.id_hash.key_id != two.data.id_hash.key_id
    assert keyed != Secrets(bytes(32)).identity_hash(CLEAR["id_hash"])
    assert one.data.name.hmac is None


@storage
def test_a_party_is_found_by_its_documents_keyed_hash_in_the_log(runtime, deployment):
    """Given a registration by command and one by import, when looked for by the hash, then both are found."""
    support.with_customer(runtime)
    data = {"kind": "individual", "id_type": "resident_id", **CLEAR}
    bring(deployment, event_line("e1", "PartyRegistered", "party/P2", data))
    keyed = deployment.secrets.identity_hash(CLEAR["id_hash"]).encode()
    found = support.select(
        deployment, "SELECT subject FROM event WHERE position(%s::bytea in state) > 0 ORDER BY 1", keyed
    )
    assert found == [("party/P1",), ("party/P2",)]


# -- keys ---------------------------------------------------------------------------------------------------


def destroy(deployment, owner):
    """Destroy a party's keys, as an administrator does."""
    support.by_owner(
        deployment, "UPDATE party_key SET wrapped = NULL, destroyed_at = now() WHERE owner = %s", owner
    )


@storage
@pytest.mark.parametrize("warm", [False, True])
def test_a_destroyed_key_erases_the_data_and_nothing_else(deployment, warm):
    """Given a party's key destroyed, then its data stays sealed, digests hold, and its history is a repeat.

    Also where this process had read the data before (`warm`): erased is erased, whoever remembers a key.
    """
    import_file(deployment, HARBIN)
    ledger = deployment.ledger(LEDGER)
    if warm:
        assert "用户甲".encode() in b"".join(export_plain(ledger, []))
    else:
        ledger.vault.forget()
    destroy(deployment, "party/P-HRB")
    exported = b"".join(export_plain(ledger, []))
    assert "用户甲".encode() not in exported
    assert exported.count(b"\n") == 102
    support.assert_sound(deployment)
    tally, refusals = import_file(deployment, HARBIN)
    assert (tally.repeated, tally.appended, refusals) == (102, 0, [])


@storage
def test_a_partys_erasure_destroys_its_keys_in_the_same_moment(runtime, deployment):
    """Given a party, when its erasure is commanded, then nothing of it opens any more, and the log is whole."""
    writer = support.with_customer(runtime)
    support.do(writer, support.account_cmd.MoveService(address="Somewhere Else"))
    ledger = deployment.ledger(LEDGER)
    assert CLEAR["name"].encode() in b"".join(export_plain(ledger, []))
    bring(deployment, event_line("end", "ServiceTerminated", "account/A1", {"reason": "customer_request"}))
    erase = support.party_cmd.ErasePersonalData(legal_basis="PIPL art. 47")
    support.do(writer, erase, "party/P1", at="2018-01-01")
    exported = b"".join(export_plain(ledger, []))
    assert not any(value.encode() in exported for value in [*CLEAR.values(), "Somewhere Else"])
    keys = support.select(deployment, "SELECT wrapped, destroyed_at IS NOT NULL FROM party_key")
    assert keys == [(None, True)]
    assert len(support.assert_sound(deployment)) == 5


@storage
def test_no_new_personal_data_of_an_erased_party_is_imported(deployment):
    """Given a party's key destroyed, when more of its personal data comes, then the line is refused."""
    import_file(deployment, HARBIN)
    destroy(deployment, "party/P-HRB")
    line = event_line(
        "new", "ContactPointAdded", "party/P-HRB", {"contact_point_id": "C9", "kind": "email", "value": "a@b"}
    )
    with pytest.raises(AssertionError, match="erased"):
        bring(deployment, line)
    keys = support.select(deployment, "SELECT count(wrapped) FROM party_key WHERE owner = 'party/P-HRB'")
    assert keys == [(0,)]


@storage
def test_a_command_with_personal_data_of_an_erased_party_is_refused_with_a_receipt(runtime, deployment):
    """Given a party's key destroyed, when a command brings its personal data, then the answer is a refusal."""
    writer = support.with_customer(runtime)
    destroy(deployment, "party/P1")
    request = asked(support.party_cmd.ChangePartyDetails(name="Another Name"), "party/P1")
    answer = writer.execute(request, receipt("k"))
    assert answer.body["refusal"]["code"] == "party.erased"
    assert writer.execute(request, receipt("k")).repeated
    assert len(support.assert_sound(deployment)) == 2


@storage
def test_a_partys_key_is_made_once_whoever_brings_its_data_first(deployment, database_url):
    """Given two processes that bring the first personal data of a party at once, then one key seals both."""
    other = opened_deployment(database_url)
    deployment.ledger_for("heilongjiang")
    parties = [f"P{n}" for n in range(12)]

    def moved(party, account):
        return [
            opening_line(account, party_id=party),
            event_line(f"{account}-m", "ServiceMoved", f"account/{account}", {"address": f"Home of {party}"}),
        ]

    for party in parties:
        together = threading.Barrier(2)

        def one(given, party=party, together=together):
            place, name = given
            together.wait(10)
            return bring(place, *moved(party, f"{name}-{party}"))

        with ThreadPoolExecutor(2) as pool:
            list(pool.map(one, [(deployment, "A"), (other, "B")]))
    exported = b"".join(export_plain(other.ledger(LEDGER), []))
    other.close()
    assert all(exported.count(f'Home of {party}"'.encode()) == 2 for party in parties)
    owners = support.select(
        deployment, "SELECT owner, count(*) FROM party_key GROUP BY 1 HAVING count(*) > 1"
    )
    assert owners == []


@storage
def test_processes_that_share_a_party_all_read_each_others_data(runtime, deployment, database_url):
    """Given a party whose data comes by command and by import, when opened anywhere, then all of it opens."""
    writer = support.with_customer(runtime)
    bring(deployment, event_line("m", "ServiceMoved", "account/A1", {"address": "Imported Home"}))
    support.do(writer, support.account_cmd.MoveService(address="Commanded Home"))
    other = opened_deployment(database_url)
    ledger = other.ledger(LEDGER)
    with other.database.connection(ledger.schema) as connection:
        events = [ledger.vault.open(r.event, PostgresKeys(connection)) for r in ledger.history("account/A1")]
    other.close()
    assert [clear(e)["address"] for e in events[1:]] == ["Imported Home", "Commanded Home"]
    keys = support.select(deployment, "SELECT count(*) FROM party_key WHERE owner = 'party/P1'")
    assert keys == [(1,)]


# -- the master key -----------------------------------------------------------------------------------------


@storage
def test_another_master_key_is_refused(runtime, deployment, database_url):
    """Given a deployment, when it is opened with another master key, then VaultError says so in one line."""
    support.with_customer(runtime)
    with pytest.raises(VaultError, match="not the one this deployment's keys were wrapped with"):
        opened_deployment(database_url, bytes(32))
    again = opened_deployment(database_url)
    assert again.secrets.secret == deployment.secrets.secret
    again.close()


@storage
@pytest.mark.parametrize("wrong", [base64.b64encode(bytes(32)).decode(), "not a key", "AAAA", "ключ"])
def test_a_wrong_master_key_in_the_environment_is_refused(runtime, database_url, tmp_path, wrong):
    """Given RECOUNT_MASTER_KEY that is another's or no key, when the program opens, then one line says so."""
    environment = {"DATABASE_URL": database_url, "RECOUNT_MASTER_KEY": wrong}
    with (
        pytest.raises(VaultError, match=r"RECOUNT_MASTER_KEY: should hold 32|not the one") as caught,
        opened(Settings.read(tmp_path, environment)),
    ):
        pass
    assert wrong not in str(caught.value)
    assert "\n" not in str(caught.value)


@storage
def test_a_database_of_ones_own_needs_a_master_key_of_ones_own(database_url, tmp_path):
    """Given DATABASE_URL and no master key, when the program opens, then it says how to give one."""
    with (
        pytest.raises(VaultError, match="set RECOUNT_MASTER_KEY_FILE"),
        opened(Settings.read(tmp_path, {"DATABASE_URL": database_url})),
    ):
        pass
    assert list(tmp_path.iterdir()) == []


@storage
def test_a_master_key_that_was_lost_is_not_replaced(tmp_path):
    """Given an embedded data directory in use, when its key file is gone, then it is asked for, not made anew."""
    settings = Settings.read(tmp_path / "data", {})
    with opened(settings) as runtime:
        support.with_customer(runtime)
        path = tmp_path / "data" / "master.key"
        kept = path.read_bytes()
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        path.unlink()
        with pytest.raises(VaultError, match=r"master\.key is missing.*put it back"), opened(settings):
            pass
        assert not path.exists()
        path.write_bytes(kept)
        with opened(settings) as again:
            exported = b"".join(export_plain(again.deployment.ledger(LEDGER), []))
        assert CLEAR["name"].encode() in exported


def test_a_new_master_key_is_its_owners_alone_and_is_never_overwritten(tmp_path):
    """Given no key file, when one is made, then only its owner may read it, and a second make keeps it."""
    path = tmp_path / "master.key"
    made = MasterKey.make(path)
    content = path.read_bytes()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(base64.b64decode(content)) == 32
    again = MasterKey.make(path)
    assert path.read_bytes() == content
    assert again.unwrap(made.wrap(bytes(range(32)))) == bytes(range(32))
    assert [p.name for p in tmp_path.iterdir()] == ["master.key"]


@pytest.mark.parametrize("content", [b"", b"short", b"\xff\xfe", base64.b64encode(bytes(31)), b"%" * 44])
def test_a_master_key_file_that_holds_no_key_is_refused(tmp_path, content):
    """Given a file that holds something else, when it is read, then one line names the file and what is right."""
    path = tmp_path / "master.key"
    path.write_bytes(content)
    with pytest.raises(VaultError, match=str(path)) as caught:
        Settings.read(tmp_path, {"RECOUNT_MASTER_KEY_FILE": str(path)}).master(first_use=True)
    assert "\n" not in str(caught.value)


def test_a_master_key_file_that_is_not_there_is_named(tmp_path):
    """Given a key file that was named but is missing, when it is read, then its name is told, and none is made."""
    path = tmp_path / "gone.key"
    with pytest.raises(VaultError, match=r"gone\.key can't be read"):
        Settings.read(tmp_path, {"RECOUNT_MASTER_KEY_FILE": str(path)}).master(first_use=True)
    assert list(tmp_path.iterdir()) == []


def test_a_key_wrapped_by_one_master_key_does_not_open_with_another():
    """Given an event sealed in one deployment, when another's vault opens it, then VaultError."""
    vault, keys = fixed_vault()
    (event,) = sealed(vault, keys, registered())
    other = Vault(MasterKey(bytes(32)), Secrets(bytes(32)))
    with pytest.raises(VaultError, match="master key"):
        other.open(event, keys)
