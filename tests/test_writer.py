"""The writer: each command once, whoever retries; no decision on what is no longer true."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest

from api.runtime import present
from domain.commands import account as cmd
from domain.commands import dealer as dealer_cmd
from domain.commands import party as party_cmd
from domain.events.fields import MalformedError
from domain.ledger.batch import Batch
from domain.ledger.database import StorageError
from domain.ledger.recorder import heads
from domain.ledger.sight import Sight
from domain.ledger.writer import KeyReusedError, VersionConflictError, Writer, request_digest
from domain.refusals import Code, refuse
from tests import support
from tests.scenario import REGION, moment
from tests.support import LEDGER, asked, bring, charge_line, do, event_line, opening_line, pay, receipt

pytestmark = pytest.mark.storage


@pytest.fixture
def writer(runtime):
    """Return a writer whose ledger has the customer P1 with the account A1."""
    return support.with_customer(runtime)


def events(deployment):
    """Return (type, subject) of every event after the customer's first two."""
    return [(e.topic, e.originator_id) for e in support.assert_sound(deployment)[2:]]


# -- receipts -----------------------------------------------------------------------------------------------


def test_a_repeated_command_gets_its_first_answer_and_changes_nothing(writer, deployment):
    """Given a command that was executed, when it comes again with its key, then the first answer comes again."""
    first = writer.execute(asked(pay()), receipt("k"))
    do(writer, pay("PAY2"))
    again = writer.execute(asked(pay()), receipt("k"))
    assert (first.repeated, again.repeated) == (False, True)
    assert again.body == first.body
    assert len(events(deployment)) == 2


def test_a_repeat_is_known_also_where_the_command_would_now_be_refused(writer):
    """Given a payment that was taken, when its command comes again, then it was taken; under a new key it is not."""
    first = writer.execute(asked(pay()), receipt("k"))
    assert not first.refused
    assert writer.execute(asked(pay()), receipt("k")).body == first.body
    assert writer.execute(asked(pay()), receipt("other")).body["refusal"]["code"] == "id.already_used"


def test_a_command_sent_many_times_at_once_is_executed_once(writer, deployment):
    """Given one command with one key from eight threads, when all are answered, then the answers are one."""
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: writer.execute(asked(pay()), receipt("k")), range(16)))
    assert sum(not a.repeated for a in answers) == 1
    assert all(a.body == answers[0].body for a in answers)
    assert events(deployment) == [("PaymentReceived", "account/A1")]


def test_a_key_that_comes_with_another_request_is_an_error(writer, deployment):
    """Given a key that was used, when another request comes with it, then KeyReusedError and nothing happens."""
    do(writer, pay(), key="k")
    with pytest.raises(KeyReusedError):
        writer.execute(asked(pay("PAY2")), receipt("k", b"another request"))
    assert len(events(deployment)) == 1


def test_a_key_is_its_callers_own(writer, deployment):
    """Given two callers who chose the same key, when both send a command, then both are executed."""
    writer.execute(asked(pay("PAY1")), receipt("k", b"one", scope="caller 1"))
    answer = writer.execute(asked(pay("PAY2")), receipt("k", b"two", scope="caller 2"))
    assert not answer.repeated
    assert len(events(deployment)) == 2


def test_a_refusal_has_a_receipt_too(writer, deployment):
    """Given a command that was refused, when its reason is gone and it comes again, then it stays refused."""
    request = asked(cmd.ReversePayment(payment_id="PAY1", reason="bounced"))
    first = writer.execute(request, receipt("k"))
    assert first.body["refusal"]["code"] == "payment.not_found"
    assert first.body["refusal"]["message"].endswith(".")
    do(writer, pay())
    again = writer.execute(request, receipt("k"))
    assert (again.repeated, again.refused, again.body) == (True, True, first.body)
    assert not writer.execute(request, receipt("a new try")).refused
    assert [kind for kind, _ in events(deployment)] == ["PaymentReceived", "PaymentReversed"]


def test_what_was_asked_is_told_apart_by_its_parts():
    """Given parts that run together, when digested, then where one ends and the next begins matters."""
    assert request_digest(b"ab", b"c") != request_digest(b"a", b"bc") != request_digest(b"abc")
    assert request_digest(b"ab", b"c") == request_digest(b"ab", b"c")


# -- versions -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("expected", [0, 2, 99])
def test_a_version_that_is_not_the_streams_writes_nothing(writer, deployment, expected):
    """Given a stream at version 1, when a command expects another, then it is a conflict, without a receipt."""
    with pytest.raises(VersionConflictError, match=f"account/A1 is at version 1, not {expected}") as caught:
        writer.execute(asked(pay(), expected_version=expected), receipt("k"))
    assert caught.value.actual == 1
    assert events(deployment) == []
    answer = writer.execute(asked(pay(), expected_version=1), receipt("k"))
    assert (answer.repeated, answer.body["version"]) == (False, 2)


def test_a_repeat_is_answered_before_its_version_is_looked_at(writer):
    """Given a command that expected version 1 and made version 2, when it comes again, then it is a repeat."""
    first = writer.execute(asked(pay(), expected_version=1), receipt("k"))
    assert writer.execute(asked(pay(), expected_version=1), receipt("k")).body == first.body


def test_of_many_that_expect_one_version_one_is_first(writer, deployment):
    """Given eight commands that saw version 1, when sent at once, then one is executed and seven are conflicts."""

    def one(number):
        try:
            return writer.execute(asked(pay(f"P{number}"), expected_version=1), receipt(f"{number}"))
        except VersionConflictError:
            return None

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(one, range(8)))
    assert sum(a is not None for a in answers) == 1
    assert len(events(deployment)) == 1


# -- decisions on other streams -----------------------------------------------------------------------------


def meanwhile(writer, monkeypatch, *commands):
    """Let other commands be committed between a decision and its commit, one after each time it is decided.

    Returns, for each time, whether it was under the ledger's lock, where nothing can overtake any more.
    """
    add, waiting, times = Batch.add, list(commands), []

    def add_and_be_overtaken(batch, work):
        answer = add(batch, work)
        if any(request.correlationid == "overtaken" for request in work.commands):
            alone = batch.locked
            times.append(alone)
            if waiting and not alone:
                command, subject = waiting.pop(0)
                do(Writer(writer.ledger, present), command, subject, at="2014-12-02")
        return answer

    monkeypatch.setattr(Batch, "add", add_and_be_overtaken)
    return times


def overtaken(command, subject="account/A1", at="2014-12-03"):
    """Return a command that `meanwhile` lets others overtake."""
    return asked(command, subject, at, correlationid="overtaken")


def soon():
    """Return a time after whatever is recorded now, and within what clocks may differ."""
    return (present() + timedelta(minutes=1)).isoformat()


VERIFY = party_cmd.VerifyIdentity(registration_id="R1", method="in_person", result="passed")
MISUSE = party_cmd.ConfirmIdentityMisuse(registration_ids=("R1",))
ACTIVATE = cmd.ActivateNumber(number="13900000001", number_id="N1", registration_id="R1")


def elsewhere(writer, command, subject):
    """Let another process execute a command: it has a writer, and so states, of its own."""
    do(Writer(writer.ledger, present), command, subject, at="2014-12-02")


def test_a_number_is_not_activated_on_a_verification_that_was_just_shaken(writer, deployment):
    """Given a verification seen here, when misuse is confirmed elsewhere, then its number can't go live."""
    do(writer, VERIFY, "party/P1")
    elsewhere(writer, MISUSE, "party/P1")
    answer = writer.execute(asked(ACTIVATE, at=soon()), receipt("k"))
    assert answer.body["refusal"]["code"] == "registration.misused"
    assert [kind for kind, _ in events(deployment)] == ["IdentityVerified", "IdentityMisuseConfirmed"]


def test_a_number_is_activated_on_a_verification_that_just_came(writer, deployment):
    """Given a number refused for want of a verification, when one comes elsewhere, then it is activated."""
    refused = writer.execute(asked(ACTIVATE, at=soon()), receipt("before"))
    assert refused.body["refusal"]["code"] == "registration.not_verified"
    elsewhere(writer, VERIFY, "party/P1")
    assert not writer.execute(asked(ACTIVATE, at=soon()), receipt("k")).refused
    assert [kind for kind, _ in events(deployment)] == ["IdentityVerified", "NumberActivated"]


def test_nobody_is_listed_for_a_debt_that_was_just_paid(writer, deployment, monkeypatch):
    """Given arrears paid between decision and commit, when the party would be listed, then it is refused."""
    contact = party_cmd.AddContactPoint(contact_point_id="C1", kind="mobile", value="13900000002")
    do(writer, contact, "party/P1", at="2013-01-01")
    notice = {
        "notice_id": "N1",
        "purpose": "arrears",
        "channel": "sms",
        "contact_point_id": "C1",
        "attempt_no": 1,
    }
    bring(
        deployment,
        charge_line("A1"),
        event_line("n1", "NoticeAttempted", "account/A1", notice, "2014-02-10T10:00:00+08:00"),
        event_line("n2", "NoticeDelivered", "account/A1", {"notice_id": "N1"}, "2014-02-11T10:00:00+08:00"),
    )
    now = present().isoformat()

    def listing(entry_id):
        return party_cmd.AddBlacklistEntry(entry_id=entry_id, basis_account_id="A1")

    undo = party_cmd.RemoveBlacklistEntry(entry_id="B1", reason="entered_in_error")
    do(writer, listing("B1"), "party/P1", at=now)  # there is enough for an entry, as long as nothing is paid
    do(writer, undo, "party/P1", at=now)
    meanwhile(writer, monkeypatch, (pay("P1", 10_000, "2014-12-02"), "account/A1"))
    answer = writer.execute(overtaken(listing("B2"), "party/P1", now), receipt("k"))
    assert answer.body["refusal"]["code"] == "blacklist.nothing_owed"
    assert events(deployment).count(("BlacklistEntryAdded", "party/P1")) == 1


def test_a_decision_overtaken_again_and_again_takes_its_turn(writer, deployment, monkeypatch):
    """Given a stream that changes under a decision, then the second is made where nobody can come between."""
    times = meanwhile(writer, monkeypatch, *[(pay(f"P{n}"), "account/A1") for n in range(9)])
    answer = writer.execute(overtaken(pay("MINE")), receipt("k"))
    assert times == [False, True]
    assert answer.body["version"] == 3
    assert len(events(deployment)) == 2


def test_many_threads_on_one_stream_lose_nothing(writer, deployment):
    """Given eight clerks at one account, when each takes ten payments, then none is turned away or lost."""

    def clerk(name):
        requests = [(asked(pay(f"{name}-{n}")), receipt(f"{name}-{n}")) for n in range(10)]
        return [writer.execute(*request).body["version"] for request in requests]

    with ThreadPoolExecutor(8) as pool:
        versions = [v for found in pool.map(clerk, range(8)) for v in found]
    assert sorted(versions) == list(range(2, 82))
    assert len(events(deployment)) == 80


# -- several commands at once -------------------------------------------------------------------------------


def reverse(amount_fen=10_000, charge_id="CH1"):
    """Return the command that takes the charge back."""
    return cmd.ReverseCharge(charge_id=charge_id, amount_fen=amount_fen, reason="no_basis")


def refund(amount_fen=10_000):
    """Return the command that pays money back."""
    return cmd.PayRefund(amount_fen=amount_fen, method="cash")


@pytest.fixture
def paid(writer, deployment):
    """Let a charge of 100 yuan stand on the account, and a payment of as much; return the events so far."""
    bring(deployment, charge_line("A1"))
    do(writer, pay("PAID", 10_000))
    return events(deployment)


def now_asked(*commands, subject="account/A1"):
    """Return commands as asked at this moment."""
    return [asked(command, subject, present().isoformat()) for command in commands]


def test_a_command_sees_what_the_one_before_it_leads_to(writer, deployment, paid):
    """Given a paid charge, when it is reversed and the credit refunded at once, then both stand in one answer."""
    assert (
        writer.execute(now_asked(refund())[0], receipt("alone")).body["refusal"]["code"] == "refund.too_high"
    )
    body = writer.execute_all(now_asked(reverse(), refund()), receipt("k")).body
    assert events(deployment)[len(paid) :] == [
        ("ChargeReversed", "account/A1"),
        ("RefundPaid", "account/A1"),
    ]
    assert [e["type"] for e in body["events"]] == ["ChargeReversed", "RefundPaid"]
    assert [e["id"] for e in body["events"]] == [f"{body['command_id']}.1", f"{body['command_id']}.2"]
    assert [e["version"] for e in body["events"]] == [4, 5]
    assert (body["version"], body["position"]) == (5, body["events"][-1]["position"])


def test_several_commands_are_known_at_one_moment(writer, deployment, paid):
    """Given commands executed at once, then their events have one recorded time and stand next to each other."""
    body = writer.execute_all(now_asked(reverse(), refund()), receipt("k")).body
    last = deployment.ledger(LEDGER).history("account/A1")[-2:]
    assert {r.event.recordedtime.isoformat() for r in last} == {body["recordedtime"]}
    assert {r.event.correlationid for r in last} == {body["command_id"]}
    assert last[1].position == last[0].position + 1


def test_where_one_is_refused_nothing_is_written(writer, deployment, paid):
    """Given a second command that may not be, then the first is not executed, and the answer says which it was."""
    body = writer.execute_all(now_asked(reverse(), refund(10_001), pay("P9")), receipt("k")).body
    assert body["refusal"]["code"] == "refund.too_high"
    assert body["refusal"]["details"] == {"credit_fen": 10_000, "index": 1, "command": "PayRefund"}
    assert events(deployment) == paid


def test_several_commands_come_again_with_their_first_answer(writer, deployment, paid):
    """Given commands that were executed, when they come again with their key, then nothing more happens."""
    first = writer.execute_all(now_asked(reverse(), refund()), receipt("k"))
    again = writer.execute_all(now_asked(reverse(), refund()), receipt("k"))
    assert (first.repeated, again.repeated, again.body) == (False, True, first.body)
    with pytest.raises(KeyReusedError):
        writer.execute_all(now_asked(pay("P9")), receipt("k", b"another request"))
    assert len(events(deployment)) == len(paid) + 2


def test_a_refusal_of_several_leaves_no_receipt(writer, deployment, paid):
    """Given commands that were refused, when what stood against them is gone, then the same are executed."""
    request = [reverse(), refund(10_500)]
    assert writer.execute_all(now_asked(*request), receipt("k")).refused
    do(writer, pay("MORE", 500))
    assert not writer.execute_all(now_asked(*request), receipt("k")).refused


def test_commands_reach_over_streams_that_the_later_ones_need(writer, deployment):
    """Given a party and an account that are not there yet, when opened and paid at once, then all three stand."""
    commands = [
        asked(support.register(), "party/P2"),
        asked(support.open_account("P2"), "account/A2"),
        asked(pay("FIRST"), "account/A2"),
    ]
    body = writer.execute_all(commands, receipt("k")).body
    assert [(e["subject"], e["version"]) for e in body["events"]] == [
        ("party/P2", 1),
        ("account/A2", 1),
        ("account/A2", 2),
    ]
    assert body["version"] == 1
    assert len(events(deployment)) == 3


def test_an_event_that_happened_earlier_is_folded_in_its_place(writer, deployment):
    """Given a dealer reinstated in March, when a block of January is reported and it acts, then it may act."""
    dealer = {"name": "Shop", "manager_id": "M1"}
    bring(
        deployment,
        event_line("d1", "DealerAuthorised", "dealer/D1", dealer, "2013-01-01T00:00:00+08:00"),
        event_line("d2", "DealerReinstated", "dealer/D1", {"reason": "heard"}, "2014-03-01T00:00:00+08:00"),
    )
    block = asked(dealer_cmd.BlockDealer(reason="misuse"), "dealer/D1", "2014-01-01")
    later = replace(block, time=moment("2014-04-01"))
    sale = asked(pay(), actor="dealer/D1", channel="dealer")
    assert writer.execute_all([later, sale], receipt("k")).body["refusal"]["code"] == "dealer.blocked"
    assert not writer.execute_all([block, sale], receipt("k")).refused


def test_what_several_commands_rest_on_is_looked_at_again(writer, deployment):
    """Given a verification seen here and shaken elsewhere, when paid and activated at once, then neither stands."""
    do(writer, VERIFY, "party/P1")
    elsewhere(writer, MISUSE, "party/P1")
    answer = writer.execute_all([asked(pay()), asked(ACTIVATE, at=soon())], receipt("k"))
    assert answer.body["refusal"]["code"] == "registration.misused"
    assert [kind for kind, _ in events(deployment)] == ["IdentityVerified", "IdentityMisuseConfirmed"]


def test_a_version_any_of_several_commands_expects_is_the_logs(writer, deployment, paid):
    """Given commands that expect a version, then it is the one before all of them; another writes nothing."""
    first, second = now_asked(reverse(), refund())
    with pytest.raises(VersionConflictError, match="account/A1 is at version 3, not 4"):
        writer.execute_all([first, replace(second, expected_version=4)], receipt("k"))
    assert events(deployment) == paid
    assert not writer.execute_all([first, replace(second, expected_version=3)], receipt("k")).refused


def test_commands_under_a_condition_that_does_not_hold_write_nothing(writer, deployment, paid):
    """Given a condition that is refused under the lock, then that is the answer, before any command's own refusal."""

    def never(_connection):
        refuse(Code.CASE_NOT_FOUND, "It does not hold.", id="K1")

    body = writer.execute_all(now_asked(reverse(), refund(99_999)), receipt("k"), never).body
    assert body["refusal"] == {
        "code": "case.not_found",
        "message": "It does not hold.",
        "details": {"id": "K1"},
    }
    assert events(deployment) == paid


def test_a_condition_is_looked_at_where_nothing_can_change_any_more(writer, deployment, paid):
    """Given eight who would each act on an unchanged stream, when they come at once, then one of them does."""
    ledger = deployment.ledger(LEDGER)

    def unchanged(connection):
        if heads(connection, ["account/A1"])["account/A1"].version != 3:
            refuse(Code.ID_USED, "It has changed.")

    def one(number):
        return writer.execute_all(now_asked(pay(f"P{number}")), receipt(f"{number}"), unchanged)

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(one, range(8)))
    assert sum(not a.refused for a in answers) == 1
    assert len(ledger.history("account/A1")) == 4


def test_many_threads_with_several_commands_each_keep_them_together(writer, deployment):
    """Given six clerks at one account, when each brings pairs of payments, then no pair is torn or lost."""

    def clerk(name):
        for n in range(4):
            pair = [asked(pay(f"{name}-{n}-{half}")) for half in "ab"]
            assert not writer.execute_all(pair, receipt(f"{name}-{n}")).refused

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(clerk, range(6)))
    ids = [r.event.data.payment_id for r in deployment.ledger(LEDGER).history("account/A1")[1:]]
    assert len(ids) == 48
    assert all(a[:-1] == b[:-1] for a, b in zip(ids[::2], ids[1::2], strict=True))


def test_no_commands_at_all_is_a_mistake(writer):
    """Given nothing to execute, then ValueError."""
    with pytest.raises(ValueError, match="at least one command"):
        writer.execute_all([], receipt("k"))


# -- what an event says of itself ---------------------------------------------------------------------------


def test_the_envelope_says_who_asked_what_when_and_where(writer, deployment):
    """Given a command, when it is executed, then its event carries the asker's words and the ledger's own."""
    now = present()
    request = asked(
        pay(), at="2014-11-30", actor="dealer/D1", actororg="shop 17", channel="dealer", evidenceref="receipt 4",
        causationid="e0",
    )  # fmt: skip
    dealer = {"name": "Shop", "manager_id": "M1"}
    bring(deployment, event_line("d", "DealerAuthorised", "dealer/D1", dealer, "2013-01-01T00:00:00+08:00"))
    body = Writer(deployment.ledger(LEDGER), lambda: now).execute(request, receipt("k")).body
    recorded = deployment.ledger(LEDGER).history("account/A1")[-1]
    event = recorded.event
    assert (event.subject, event.type, event.region) == ("account/A1", "PaymentReceived", REGION)
    assert (event.time, event.recordedtime) == (moment("2014-11-30"), now)
    assert (event.actor, event.actororg, event.channel) == ("dealer/D1", "shop 17", "dealer")
    assert (event.evidenceref, event.causationid) == ("receipt 4", "e0")
    assert event.id == f"{body['command_id']}.1"
    assert event.correlationid == body["command_id"]
    assert event.source == "urn:recount:ledger:heilongjiang"
    assert body["recordedtime"] == now.isoformat()
    assert (body["position"], body["version"], body["ledger"]) == (
        recorded.position,
        recorded.version,
        LEDGER,
    )
    assert body["events"] == [
        {
            "id": event.id, "source": event.source, "type": event.type, "subject": event.subject,
            "version": 2, "position": 4,
        }
    ]  # fmt: skip


def test_a_correlation_that_was_given_is_kept(writer, deployment):
    """Given a command of a case, when it is executed, then its event belongs to the case."""
    writer.execute(asked(pay(), correlationid="case/K1"), receipt("k"))
    assert deployment.ledger(LEDGER).history("account/A1")[-1].event.correlationid == "case/K1"


@pytest.mark.parametrize(("minutes", "taken"), [(4, True), (6, False)])
def test_a_time_in_the_future_is_refused_beyond_what_clocks_differ(writer, deployment, minutes, taken):
    """Given a shop's clock ahead of ours, when it is up to five minutes, then it is taken, and not beyond."""
    ahead = (present() + timedelta(minutes=minutes)).isoformat()
    if taken:
        assert not writer.execute(asked(pay(), at=ahead), receipt("k")).refused
        return
    with pytest.raises(MalformedError, match="should not lie in the future"):
        writer.execute(asked(pay(), at=ahead), receipt("k"))
    assert events(deployment) == []
    assert not writer.execute(asked(pay()), receipt("k")).repeated


def test_a_command_lands_in_an_imported_history_and_both_go_on(writer, deployment):
    """Given an account that came by import, when commands and imports take turns, then one stream holds both."""
    bring(deployment, opening_line("OLD"))
    do(writer, pay("P1"), "account/OLD")
    bring(deployment, charge_line("OLD"))
    assert do(writer, pay("P2"), "account/OLD")["version"] == 4
    kinds = [kind for kind, subject in events(deployment) if subject == "account/OLD"]
    assert kinds == ["AccountOpened", "PaymentReceived", "ChargePosted", "PaymentReceived"]


def test_a_process_has_one_writer_of_a_ledger_whoever_asks_and_whatever_they_may_see(runtime):
    """Given many who ask at once, some of whom see less than all, then each is given the same writer."""
    runtime.deployment.ledger_for(REGION)
    some = runtime.within(Sight((REGION,)))
    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(lambda n: (some if n % 2 else runtime).writer(REGION), range(64)))
    assert found == {runtime.known_writer(REGION)}


def test_a_writer_writes_nothing_after_its_deployment_was_closed(writer, deployment):
    """Given a deployment that was closed, when its writer is still asked, then it says so and opens no connection."""
    do(writer, pay())
    deployment.database.close()
    with pytest.raises(StorageError, match="was closed"):
        writer.execute(asked(pay("PAY2")), receipt("late"))
