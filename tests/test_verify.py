"""Verify: what stands is held against the log by other means, and whatever was altered is named."""

import base64
import json

import pytest

from api.cli import main
from api.runtime import READ_MODELS, present
from projections.billing_status import BillingStatus
from projections.engine import catch_up, verify
from tests.conftest import HARBIN, MASTER, import_file
from tests.scenario import moment
from tests.support import LEDGER, bring, charge_line, opening_line, payment_line

pytestmark = pytest.mark.storage

MODEL = BillingStatus()
ROWS = "ledger_heilongjiang_g1.billing_status"
STREAMS = "ledger_heilongjiang_g1.folded_stream"


@pytest.fixture
def owing(deployment):
    """Return a deployment with three accounts, their rows up to date."""
    for name in ("A1", "A2", "A3"):
        bring(deployment, opening_line(name), charge_line(name))
    catch_up(deployment, [MODEL], present)
    return deployment


def differences(deployment, now=None, **how):
    """Return what differs, as (where, subject, text)."""
    found = verify(deployment.ledger(LEDGER), [MODEL], now or present(), **{"sample": None, **how})
    return [tuple(d) for d in found.differences]


def tamper(deployment, statement):
    """Alter what stands, as somebody with the owner's rights might, past every guard."""
    with deployment.database.owner(deployment.ledger(LEDGER).schema) as connection:
        connection.execute("ALTER TABLE event DISABLE TRIGGER event_is_immutable")
        connection.execute(statement)
        connection.execute("ALTER TABLE event ENABLE TRIGGER event_is_immutable")


def test_what_is_sound_is_found_sound(owing):
    """Given rows as the engine made them, when verified, then everything was compared and nothing differs."""
    found = verify(owing.ledger(LEDGER), [MODEL], present(), sample=None)
    assert (found.streams, found.events, found.position) == (3, 6, 6)
    assert found.rows == {"billing_status": 3}
    assert (found.differences, found.more, found.unchecked) == ([], 0, [])


def test_a_sample_is_of_so_many_streams(owing):
    """Given three streams, when two are drawn, then two are compared."""
    found = verify(owing.ledger(LEDGER), [MODEL], present(), sample=2)
    assert (found.streams, found.events, found.rows.total(), found.differences) == (2, 4, 2, [])


def test_rows_behind_the_log_are_compared_with_the_log_as_far_as_they_are(owing):
    """Given events the model has not folded yet, when verified, then its rows are right as far as it is."""
    bring(owing, payment_line("A1", "P1"), opening_line("A4"))
    assert differences(owing) == []


def test_rows_whose_day_has_come_are_compared_with_the_day_before(owing):
    """Given a payment whose value date came and no worker since, when verified, then the rows are not called wrong."""
    at = moment("2030-01-01")
    bring(owing, payment_line("A1", "P1", 10_000, "2030-01-05", at="2030-01-01T09:00:00+08:00"), now=at)
    catch_up(owing, [MODEL], lambda: at)
    assert differences(owing, moment("2030-01-04")) == []
    assert differences(owing, moment("2030-01-06")) == []
    tamper(owing, f"UPDATE {STREAMS} SET due_at = NULL WHERE subject = 'account/A1'")
    assert "balance_fen is 10000, should be 0" in differences(owing, moment("2030-01-06"))[0][2]


DIGEST = "its digest is not that of its rows"
MODEL_DIGEST = ("billing_status", "", "the model's digest is not the sum of its streams' digests")


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        (
            f"UPDATE {ROWS} SET balance_fen = 7 WHERE account_id = 'A2'",
            [
                ("billing_status", "account/A2", "billing_status: balance_fen is 7, should be 10000"),
                ("billing_status", "account/A2", DIGEST),
            ],
        ),
        (
            f"UPDATE {ROWS} SET open_items = '[]' WHERE account_id = 'A2'",
            [
                (
                    "billing_status",
                    "account/A2",
                    (
                        "billing_status: open_items is [], should be"
                        ' [{"charge_id":"CH1","due_on":"2014-01-31","unpaid_fen":10000}]'
                    ),
                ),
                ("billing_status", "account/A2", DIGEST),
            ],
        ),
        (
            f"UPDATE {STREAMS} SET digest = sha256('x') WHERE subject = 'account/A2'",
            [("billing_status", "account/A2", DIGEST), MODEL_DIGEST],
        ),
        (
            f"UPDATE {STREAMS} SET version = 1 WHERE subject = 'account/A2'",
            [("billing_status", "account/A2", "should rest on 2 events, rests on 1")],
        ),
        ("UPDATE read_model_partition SET digest = sha256('x')", [MODEL_DIGEST]),
        (
            f"DELETE FROM {STREAMS} WHERE subject = 'account/A2'",
            [
                ("billing_status", "account/A2", "should rest on 2 events, rests on 0"),
                ("billing_status", "account/A2", "is in the log and was not folded"),
                ("billing_status", "account/A2", "billing_status: rows of a stream that was not folded"),
                MODEL_DIGEST,
            ],
        ),
        (
            f"UPDATE {STREAMS} SET subject = 'account/A9' WHERE subject = 'account/A3'",
            [
                ("billing_status", "account/A3", "should rest on 2 events, rests on 0"),
                ("billing_status", "account/A3", "is in the log and was not folded"),
                ("billing_status", "account/A9", "was folded and is not in the log"),
                ("billing_status", "account/A3", "billing_status: rows of a stream that was not folded"),
            ],
        ),
        (
            (
                "UPDATE event SET state = replace(convert_from(state, 'UTF8'), '10000', '10001')::bytea"
                " WHERE subject = 'account/A2'"
            ),
            [
                ("log", "account/A2", "version 2: the digest is not that of the stored bytes"),
                (
                    "billing_status",
                    "account/A2",
                    (
                        "billing_status: balance_fen is 10000, should be 10001; principal_fen is 10000, should be 10001"
                        '; open_items is [{"charge_id":"CH1","due_on":"2014-01-31","unpaid_fen":10000}], should be'
                        ' [{"charge_id":"CH1","due_on":"2014-01-31","unpaid_fen":10001}]'
                    ),
                ),
            ],
        ),
        (
            "DELETE FROM event WHERE position = 6",
            [
                ("log", "", "should have positions 1 to 6 without a gap: has 5 up to 5"),
                ("billing_status", "account/A3", "should rest on 1 events, rests on 2"),
            ],
        ),
        (
            "UPDATE event SET version = 7 WHERE position = 6",
            [("log", "account/A3", "should have version 2 next, has 7")],
        ),
    ],
)
def test_what_was_altered_is_named(owing, statement, expected):
    """Given something altered past every guard, when verified, then one line says what and where, and no other."""
    tamper(owing, statement)
    assert differences(owing) == expected


def test_a_row_taken_away_or_put_in_is_named(owing):
    """Given a row too few and one too many, when verified, then both are told."""
    tamper(owing, f"DELETE FROM {ROWS} WHERE account_id = 'A1'")
    tamper(
        owing,
        f"INSERT INTO {ROWS} SELECT 'account/A8', 'A8', party_id, region, line_of_business, status, status_since,"
        f" package, 0, 0, 0, 0, '[]', false, 1, 1 FROM {ROWS} WHERE account_id = 'A2'",
    )
    found = differences(owing)
    assert found[0][:2] == ("billing_status", "account/A1")
    assert found[0][2].startswith('billing_status: a row is missing: ["account/A1","A1","P1",')
    assert found[1:] == [
        ("billing_status", "account/A1", DIGEST),
        ("billing_status", "account/A8", "billing_status: rows of a stream that was not folded"),
    ]


def test_very_many_differences_are_counted_not_told(owing, monkeypatch):
    """Given more differences than anybody reads, then some are told and the rest is counted."""
    monkeypatch.setattr("projections.engine.verifying.SHOWN_MAX", 2)
    tamper(owing, f"UPDATE {ROWS} SET balance_fen = 7")
    found = verify(owing.ledger(LEDGER), [MODEL], present(), sample=None)
    assert (len(found.differences), found.more) == (2, 4)


def test_a_model_of_another_version_is_not_called_wrong(owing):
    """Given rows of another version, when verified, then the model is named as not checked."""
    tamper(owing, "UPDATE read_model_generation SET version = 0")
    found = verify(owing.ledger(LEDGER), [MODEL], present(), sample=None)
    assert (found.differences, found.unchecked) == ([], ["billing_status"])


def test_a_verification_sees_one_moment_while_everything_goes_on(owing):
    """Given a check that runs, when events come and are folded meanwhile, then it finds what it began with."""

    def meanwhile(_done, _of):
        bring(owing, payment_line("A3", "P1"))
        catch_up(owing, [MODEL], present)

    found = verify(owing.ledger(LEDGER), [MODEL], present(), sample=None, show=meanwhile)
    assert (found.differences, found.position) == ([], 6)


# -- as a person runs it ------------------------------------------------------------------------------------


@pytest.fixture
def recount(database_url, capsys, monkeypatch):
    """Run `recount` on the test's database; returns (exit code, standard output, standard error)."""
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("RECOUNT_MASTER_KEY", base64.b64encode(MASTER).decode())

    def run(*arguments):
        capsys.readouterr()
        try:
            code = main(arguments)
        except SystemExit as left:
            code = left.code
        return code, *capsys.readouterr()

    return run


def test_rebuild_and_verify_as_a_person_runs_them(deployment, recount):
    """Given the Harbin case, when its models are made and checked, then exit codes, lines and JSON say so."""
    import_file(deployment, HARBIN)
    code, out, _ = recount("rebuild", "--workers", "1", "--json")
    made = json.loads(out)["rebuilt"]
    assert (code, [m["model"] for m in made]) == (0, [m.name for m in READ_MODELS])
    mine = next(m for m in made if m["model"] == "billing_status")
    assert (mine["streams"], mine["position"], mine["version"]) == (8, 102, BillingStatus.version)
    code, out, _ = recount("rebuild", "billing_status", "--partitions", "2")
    assert code == 0
    assert out.startswith("heilongjiang billing_status: 58 events of 8 streams folded (")
    assert out.endswith(f"position 102, digest {mine['digest']}\n")
    code, out, _ = recount("verify", "--full", "--json")
    found = json.loads(out)
    assert (code, found["differences"]) == (0, 0)
    assert found["ledgers"][0]["rows"]["billing_status"] == 8
    assert found["ledgers"][0]["events"] == 102
    code, out, _ = recount("verify", "--sample", "3", "--model", "billing_status")
    assert code == 0
    assert out.startswith("heilongjiang: 3 streams with ")
    assert out.endswith(" 0 differences\n")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("rebuild", "nothing"), 1),
        (("verify", "--model", "nothing"), 1),
        (("rebuild", "--region", "hebei"), 1),
        (("verify", "--full", "--sample", "3"), 2),
        (("rebuild", "--workers", "0"), 2),
    ],
)
def test_what_is_asked_wrongly_is_one_clear_line(recount, arguments, code):
    """Exit 1 where there is no such thing, 2 where the command is wrongly used."""
    found, out, error = recount(*arguments)
    assert (found, out, len(error.splitlines())) == (code, "", 1)
    assert error.startswith("recount: ")


def test_verify_fails_with_a_line_for_each_difference(owing, recount):
    """Given an altered row, when verify is run, then it exits 1 and says which row of which account."""
    tamper(owing, f"UPDATE {ROWS} SET balance_fen = 7 WHERE account_id = 'A2'")
    code, out, _ = recount("verify", "--full", "--model", "billing_status")
    assert code == 1
    lines = out.splitlines()
    assert lines[0] == (
        "heilongjiang billing_status account/A2: billing_status: balance_fen is 7, should be 10000"
    )
    assert lines[-1].endswith(" 2 differences")
    code, out, _ = recount("verify", "--full", "--json", "--model", "billing_status")
    assert (code, json.loads(out)["differences"]) == (1, 2)
