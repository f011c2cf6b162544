"""The close of a day on a ledger: done once, however often, late or interrupted it is."""

import contextlib
import signal
import subprocess
import sys
import threading
from collections import Counter
from datetime import date, timedelta

import orjson
import psycopg
import pytest

from api.runtime import Runtime, present
from domain.closing import Offer
from domain.commands import account as ac
from domain.commands import party as pc
from domain.events.fields import MalformedError
from domain.ledger import closing, outbox
from domain.ledger.closing import Closer, ClosingBusyError, summary
from domain.ledger.embedded import EmbeddedPostgres
from tests.scenario import REGION, moment, terms
from tests.support import LEDGER, asked, bring, event_line, receipt, wait_for
from tests.test_cli import answer, recount  # noqa: F401 - a fixture

pytestmark = pytest.mark.storage

TARIFF = {"BB": Offer("BB-M", 10_000)}
OPTIONS = ("suspend", "convert_to_monthly", "renew_annual")


class Office:
    """A ledger whose clock stands where a test puts it."""

    def __init__(self, deployment):
        self.now = moment("2013-07-16")
        self.runtime = Runtime(deployment, lambda: self.now)
        self.writer = self.runtime.writer(REGION)
        self.ledger = deployment.ledger_for(REGION)
        self.number = 0

    def do(self, command, subject="account/A1", **more):
        self.number += 1
        request = asked(command, subject, **{"at": self.now.isoformat(), "actor": "staff/S1", **more})
        found = self.writer.execute(request, receipt(f"k{self.number}"))
        assert not found.refused, found.body

    def sell(self, option="convert_to_monthly", account_id="A1", party_id="P1"):
        """Sell a year of broadband from 2013-07-16."""
        subject = f"account/{account_id}"
        self.do(ac.OpenAccount(
            party_id=party_id, line_of_business="fixed_broadband", contract_terms=terms(),
        ), subject)  # fmt: skip
        self.do(ac.PresentExpiryOptions(package_id="PK", options=OPTIONS), subject)
        self.do(ac.SelectExpiryOption(
            package_id="PK", option=option, selected_by="customer", consent_ref="C",
        ), subject)  # fmt: skip
        self.do(ac.SubscribePackage(
            package_id="PK", offer_id="BB", cycle="annual", price_fen=108_000, start="2013-07-16",
            end="2014-07-16",
        ), subject)  # fmt: skip

    def register(self, party_id="P1"):
        subject = f"party/{party_id}"
        self.do(pc.RegisterParty(
            kind="individual", id_type="resident_id", id_hash="0" * 64, name="Li", id_number="1", address="Harbin",
        ), subject)  # fmt: skip
        self.do(pc.AddContactPoint(contact_point_id="CP", kind="mobile", value="139"), subject)

    def close(self, day, at=None, tariff=TARIFF, region=None):
        """Close a day in its evening, or at a moment, and return what it came to."""
        self.now = moment(at or f"{day}T23:50:00+08:00")
        closer = Closer(self.writer, tariff)
        return summary(closer.close(date.fromisoformat(day), region))

    def types(self, subject="account/A1"):
        return Counter(r.event.type for r in self.ledger.history(subject))


@pytest.fixture
def office(deployment):
    made = Office(deployment)
    made.register()
    made.sell()
    return made


def test_a_term_ends_and_the_customers_choice_is_carried_out(office):
    """Given a year sold with a choice, when its last day is closed, then it is converted as chosen, once."""
    assert office.close("2014-07-15")["events"] == {}
    first = office.close("2014-07-16")
    assert first["events"] == {"PackageConverted": 1, "PackageExpired": 1}
    assert office.close("2014-07-16")["events"] == {}
    converted = next(
        r.event for r in office.ledger.history("account/A1") if r.event.type == "PackageConverted"
    )
    assert (converted.data.from_.isoformat(), converted.data.monthly_price_fen) == ("2014-07-16", 10_000)
    assert converted.actor == "system/close-of-day"
    assert converted.data.basis_event_id is not None


def test_without_a_price_a_person_is_asked_and_nothing_is_invented(office):
    """Given a choice to go on by the month, when no price list says for how much, then that is a task."""
    found = office.close("2014-07-16", tariff={})
    assert found["events"] == {"PackageExpired": 1}
    assert found["tasks"] == {"price_missing": 1}
    later = office.close("2014-07-20")
    assert later["events"] == {"PackageConverted": 1}
    converted = next(
        r.event for r in office.ledger.history("account/A1") if r.event.type == "PackageConverted"
    )
    assert converted.data.from_.isoformat() == "2014-07-16"


def test_missed_days_are_made_up_for(office):
    """Given that no day was closed for months, when one is, then everything that was due by it is done, in order."""
    found = office.close("2014-10-20")
    assert found["events"] == {"ChargePosted": 2, "PackageConverted": 1, "PackageExpired": 1}
    assert office.close("2014-10-20")["events"] == {}
    assert found["tasks"].get("charge_too_old", 0) + found["events"]["ChargePosted"] == 3


def test_a_day_that_has_not_come_is_not_closed(office):
    """Closing tomorrow is refused, and says what would be right."""
    with pytest.raises(MalformedError, match="should not be after today, 2014-07-16"):
        office.close("2014-07-17", at="2014-07-16")


def test_what_is_done_right_after_midnight_belongs_to_the_day_that_ended(office):
    """A run minutes after midnight records the day's end, a run hours later its own time."""
    office.close("2014-07-16", at="2014-07-17T00:10:00+08:00")
    expired = next(r.event for r in office.ledger.history("account/A1") if r.event.type == "PackageExpired")
    assert expired.time.date().isoformat() == "2014-07-16"
    office.sell(account_id="A2")
    office.close("2014-07-16", at="2014-07-17T09:00:00+08:00")
    expired = next(r.event for r in office.ledger.history("account/A2") if r.event.type == "PackageExpired")
    assert expired.time.isoformat() == "2014-07-17T09:00:00+08:00"


def test_reminders_are_queued_once_and_sent_by_nobody(office):
    """Given a term that ends soon, when days are closed, then one request waits in the queue, and no event."""
    before = office.types()
    for day in ("2014-06-16", "2014-06-17", "2014-06-17"):
        office.close(day)
    with office.ledger.journal.database.connection(office.ledger.schema) as connection:
        waiting = outbox.count_by_status(connection)
    assert waiting == {"queued": 1}
    assert office.types() == before


def test_a_city_closes_its_own_streams(office):
    """Given accounts of two cities, when one is closed, then the other's stand as they were."""
    office.now = moment("2013-07-16")
    assert office.close("2014-07-16", region="heilongjiang.daqing")["streams"] == 0
    found = office.close("2014-07-16", region=REGION)
    assert found["events"] == {"PackageConverted": 1, "PackageExpired": 1}


def test_one_at_a_time(office):
    """While one process closes a day of a ledger, another is told to wait."""
    with office.ledger.journal.database.connection(office.ledger.schema) as connection:
        connection.execute(
            "SELECT pg_advisory_lock(hashtextextended('close-day ' || %s, 0))", [office.ledger.schema]
        )
        with pytest.raises(ClosingBusyError):
            office.close("2014-07-16")
        connection.execute("SELECT pg_advisory_unlock_all()")
    assert office.close("2014-07-16")["events"]


def test_two_at_once_do_everything_once(office):
    """Given two closings of one day at the same moment, then one works and the other waits or finds nothing."""
    for n in range(2, 12):
        office.sell(account_id=f"A{n}")
    office.now = moment("2014-07-16T23:50:00+08:00")
    found, busy = [], []

    def work():
        closer = Closer(office.writer, TARIFF)
        try:
            found.append(summary(closer.close(date(2014, 7, 16))))
        except ClosingBusyError as error:
            busy.append(error)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) + len(busy) == 3
    assert sum(f["events"].get("PackageConverted", 0) for f in found) == 11
    for n in range(1, 12):
        assert office.types(f"account/A{n}")["PackageConverted"] == 1


def test_a_closing_writes_through_its_process_s_one_writer_which_keeps_nothing_of_what_is_done(
    office, monkeypatch
):
    """Given many pages of streams, when a day is closed, then no other writer is made and the memory is let go."""
    monkeypatch.setattr(closing, "PAGE_STREAMS", 2)
    monkeypatch.setattr(closing, "WRITER_PAGES", 1)
    monkeypatch.setattr(closing, "Writer", None)
    for n in range(2, 12):
        office.sell(account_id=f"A{n}")
    found = office.close("2014-07-16")
    assert found["events"]["PackageConverted"] == 11
    office.writer._thread.submit(lambda: None).result()
    assert not office.writer._standings.knows(["account/A1"])
    office.do(ac.ReceivePayment(payment_id="P", amount_fen=1, value_date="2014-07-16", method="cash"))


# -- a kill -------------------------------------------------------------------------------------------------


def population(count, start):
    """Return a history of customers with a monthly package since a day."""
    at = f"{start}T10:00:00+08:00"
    contract = {
        "payment_deadline_days": 15, "late_fee_start": "after_due", "restore_hours": 48, "suspend_after_days": 10,
        "terminate_after_days": 60,
    }  # fmt: skip
    person = {
        "kind": "individual", "id_type": "resident_id", "id_hash": "0" * 64, "name": "Li", "id_number": "1",
        "address": "Harbin",
    }  # fmt: skip
    for n in range(count):
        opened = {"party_id": f"P{n}", "line_of_business": "fixed_broadband", "contract_terms": contract}
        package = {
            "package_id": "PM", "offer_id": "M", "cycle": "monthly", "price_fen": 5_000, "start": start.isoformat(),
        }  # fmt: skip
        yield event_line(f"r{n}", "PartyRegistered", f"party/P{n}", person, at)
        yield event_line(f"o{n}", "AccountOpened", f"account/A{n:05}", opened, at)
        yield event_line(f"s{n}", "PackageSubscribed", f"account/A{n:05}", package, at)


def test_a_closing_that_was_killed_goes_on_where_it_stopped(recount, tmp_path):  # noqa: F811
    """Given a killed closing, when the day is closed again, then every account has its charge exactly once."""
    today = present().date()
    count, start = 900, today - timedelta(days=40)
    history = tmp_path / "history.jsonl"
    history.write_bytes(b"\n".join(population(count, start)))
    assert answer(recount("import", str(history), "--json"))["appended"] == 3 * count
    command = [
        sys.executable, "-P", "-m", "api.cli", "close-day", today.isoformat(), "--data", str(tmp_path / "data"),
    ]  # fmt: skip
    environment = recount.environment
    killed = subprocess.Popen(
        command, env=environment, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    with contextlib.ExitStack() as stack:
        conninfo = environment.get("DATABASE_URL")
        if not conninfo:
            conninfo = stack.enter_context(EmbeddedPostgres(tmp_path / "data")).conninfo
        looking = stack.enter_context(psycopg.connect(conninfo, autocommit=True))
        cursor = f"SELECT 1 FROM ledger_{LEDGER}.closing WHERE cursor <> ''"
        wait_for(lambda: looking.execute(cursor).fetchone() is not None)
        killed.send_signal(signal.SIGKILL)
    killed.communicate()
    done = answer(recount("close-day", today.isoformat(), "--json"))["regions"][0]
    again = answer(recount("close-day", today.isoformat(), "--json"))["regions"][0]
    assert again["events"] == {}
    out = tmp_path / "out.jsonl"
    assert answer(recount("export", "--plain", "--out", str(out), "--json"))["lines"]
    charged = Counter(
        raw["subject"]
        for raw in map(orjson.loads, out.read_bytes().splitlines())
        if raw.get("type") == "ChargePosted"
    )
    assert len(charged) == count
    assert set(charged.values()) == {1}
    assert 0 < done["events"]["ChargePosted"] < count
    assert done["resumed"]


def test_the_command_says_what_it_did_and_refuses_a_wrong_price_list(recount, tmp_path):  # noqa: F811
    """The answer is one document; a wrong price list is named by offer and field."""
    today = present().date()
    history = tmp_path / "history.jsonl"
    history.write_bytes(b"\n".join(population(2, today - timedelta(days=40))))
    recount("import", str(history))
    found = answer(recount("close-day", today.isoformat(), "--json"))
    assert found["regions"][0]["region"] == LEDGER
    assert found["regions"][0]["events"] == {"ChargePosted": 2}
    tariff = tmp_path / "tariff.json"
    tariff.write_text('{"BB": {"monthly_offer_id": "BB-M", "monthly_price_fen": 1.5}}')
    wrong = recount("close-day", today.isoformat(), "--tariff", str(tariff))
    assert wrong.returncode == 2
    assert b"BB.monthly_price_fen: should be a price in whole fen" in wrong.stderr
    tomorrow = (today + timedelta(days=1)).isoformat()
    assert b"should not be after today" in recount("close-day", tomorrow).stderr
    assert b"DATE" in recount("close-day", "2014-13-01").stderr


# -- a stream that can't be closed --------------------------------------------------------------------------


def test_charges_of_one_id_from_another_system_are_closed_like_any(deployment):
    """Given two imported charges of one long id, when days are closed, then each bears its fee."""
    office = Office(deployment)
    office.register()
    office.sell()
    charge = {
        "charge_id": "C" * 100, "kind": "installation", "amount_fen": 50_000, "period_start": "2013-07-20",
        "period_end": "2013-07-20", "due_on": "2013-08-20",
    }  # fmt: skip
    lines = [
        event_line(
            str(n) * 120,
            "ChargePosted",
            "account/A1",
            charge,
            "2013-07-20T10:00:00+08:00",
            source="u:" + "s" * 300,
        )
        for n in (1, 2)
    ]
    bring(deployment, *lines, now=moment("2013-07-21"))
    found = office.close("2013-10-01")
    assert found["events"]["LateFeeAssessed"] == 2
    assert found["failed"] == {}
