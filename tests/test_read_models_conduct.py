"""Registers of conduct: notices, blacklist, registrations, cases. What they say of a deadline, the findings say too."""

import random
from datetime import date, timedelta

import pytest

from api.runtime import READ_MODELS
from domain.events import party as pv
from domain.ledger.codec import canonical
from domain.rules.book import Rulebook
from domain.rules.complaints import commitment_first, complaint_answer
from domain.rules.expiry import expiry_notice
from domain.rules.facts import Measure, World
from domain.rules.identity import number_steps, registration_audit
from domain.rules.standing import cleared_by, overdue_spells, removal_of, working_days_after
from projections import blacklist, cases, notices, registrations
from projections.engine import catch_up, verify
from projections.paging import Order
from tests.conftest import HARBIN, fresh_database, import_file, opened_deployment
from tests.histories import History
from tests.scenario import moment
from tests.support import LEDGER, bring

pytestmark = pytest.mark.storage

MODELS = [m for m in READ_MODELS if m.name in {"notices", "blacklist", "registrations", "cases"}]
WORLDS = 60
KNOWN_AT = moment("2018-06-15")
TODAY = KNOWN_AT.date()


def listed(sorts, key):
    """Return the whole of a list as the part that is asked for."""
    return Order(sorts[0], descending=False, key=tuple(key)), None, 10_000


class Anything(dict):
    """Filters of which none is set, but those given."""

    def __init__(self, *names, **given):
        super().__init__({**dict.fromkeys(names), **given})


def all_terms(ledger, today=TODAY, **given):
    wanted = Anything("ended_since", "ended_before", "city", "account_id", "verdict", **given)
    return notices.terms(ledger, today, wanted, listed(notices.TERM_SORTS, notices.TERM_KEY))


def all_points(ledger, **given):
    wanted = Anything("city", "party_id", "kind", "reason", "reaches_nobody", "still_used", **given)
    return notices.contact_points(ledger, wanted, listed(notices.CONTACT_SORTS, notices.CONTACT_KEY))


def all_entries(ledger, today=TODAY, **given):
    wanted = Anything("city", "party_id", "account_id", "standing", "overdue", "cleared", **given)
    return blacklist.entries(ledger, today, wanted, listed(blacklist.SORTS, blacklist.KEY))


def all_registrations(ledger, today=TODAY, **given):
    wanted = Anything("city", "party_id", "dealer_id", "audit", "misused", **given)
    return registrations.registrations(ledger, today, wanted, listed(registrations.SORTS, registrations.KEY))


def all_persons(ledger, today=TODAY, **given):
    wanted = Anything("city", "party_id", "over_limit", **given)
    return registrations.persons(
        ledger, today, wanted, listed(registrations.PERSON_SORTS, registrations.PERSON_KEY)
    )


def all_dealers(ledger, today=TODAY, **given):
    wanted = Anything("city", "dealer_id", **given)
    return registrations.dealers(
        ledger, today, wanted, listed(registrations.DEALER_SORTS, registrations.DEALER_KEY)
    )


CASE_FILTERS = (
    "city", "unit", "channel", "category", "party_id", "status", "answer", "received_since", "received_before",
)  # fmt: skip


def all_cases(ledger, today=TODAY, **given):
    wanted = Anything(*CASE_FILTERS, **given)
    return cases.cases(ledger, today, wanted, listed(cases.SORTS, cases.KEY))


def all_commitments(ledger, now=KNOWN_AT, **given):
    wanted = Anything("city", "unit", "channel", "case_id", "status", **given)
    return cases.commitments(ledger, now, wanted, listed(cases.PROMISE_SORTS, cases.PROMISE_KEY))


# -- the Harbin case ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def harbin(server):
    """Return the ledger of the Harbin case, folded on the day of the operator's findings."""
    with fresh_database(server, "conduct") as url:
        opened = opened_deployment(url)
        import_file(opened, HARBIN)
        catch_up(opened, MODELS, lambda: moment("2014-12-17"))
        yield opened.ledger(LEDGER)
        opened.close()


ON = date(2014, 12, 17)


def test_no_notice_reached_the_customer_before_or_after_either_term(harbin):
    """Two terms ended; before them nothing was sent, after the second an SMS and a call went to a dead number."""
    wanted = Anything("ended_since", "ended_before", "city", "account_id")
    cells, verdicts = notices.coverage(harbin, ON, wanted)
    assert [tuple(c.values()) for c in cells] == [
        ("after", "call", "failed", 1, 1),
        ("after", "sms", "failed", 1, 1),
    ]
    assert verdicts == [{"verdict": "breach", "before": "breach", "after": "breach", "terms": 2}]
    only = Anything("ended_before", "city", "account_id", ended_since=date(2014, 1, 1))
    assert notices.coverage(harbin, ON, only)[1][0]["terms"] == 1
    shown = [
        (t["account_id"], str(t["end_on"]), t["attempts_before"], t["attempts_after"])
        for t in all_terms(harbin, ON)
    ]
    assert shown == [("A-NETCOM", "2010-10-20", 0, 0), ("A-FTTH", "2014-07-16", 0, 2)]


def test_both_contact_points_reach_nobody_and_went_on_to_be_used(harbin):
    """All six notices went to numbers that had been given up before."""
    shown = [
        (
            p["contact_point_id"],
            p["reason"],
            p["attempts"],
            p["attempts_since"],
            p["delivered"],
            p["party_reachable"],
        )
        for p in all_points(harbin, reaches_nobody=True, still_used=True)
    ]
    assert shown == [("CP-OLD", "abandoned", 3, 3, 0, False), ("CP-NEW", "abandoned", 3, 3, 0, False)]
    assert all_points(harbin, reaches_nobody=False) == []


def test_the_blacklist_says_on_what_the_entry_rests_and_until_when(harbin):
    """On the account of the company merged in, without a notice; nothing cleared it, five years end in 2016."""
    (entry,) = all_entries(harbin, ON, standing=True)
    assert entry["basis_account_id"] == "A-NETCOM"
    assert entry["basis_event_ids"] == ["harbin-012", "harbin-013", "harbin-014"]
    assert (entry["amount_fen"], entry["days_listed"]) == (38_100, (ON - date(2011, 5, 1)).days)
    assert (entry["notice_id"], entry["notice_reach"], entry["notices_reached"]) == (None, None, 0)
    assert (entry["cleared_on"], entry["void"], entry["overdue"]) == (None, False, False)
    assert entry["must_leave_by"] == entry["retention_ends_on"] == date(2016, 5, 1)
    assert all_entries(harbin, ON, standing=False) == all_entries(harbin, ON, overdue=True) == []
    assert all_entries(harbin, date(2016, 5, 2), overdue=True)[0]["entry_id"] == "BL-1"


def test_six_numbers_of_one_dealer_were_audited_too_late(harbin):
    """Each registration was due a year after it was made; the audit came only after the complaint."""
    shown = all_registrations(harbin, ON)
    assert [(r["registration_id"], r["audit"], r["audit_result"]) for r in shown] == [
        (f"R-{n}", "late", "breach") for n in range(1, 7)
    ]
    assert {(r["dealer_id"], r["method"], str(r["misuse_on"]), r["numbers_held"]) for r in shown} == {
        ("D-17", "none", "2014-12-13", 1)
    }
    assert [str(r["audit_due_on"]) for r in shown][:2] == ["2014-10-08", "2014-10-15"]
    assert {r["audit"] for r in all_registrations(harbin, date(2014, 1, 1))} == {"late"}
    (dealer,) = all_dealers(harbin, ON)
    assert {**dealer, "last_registered_on": None} == {
        "dealer_id": "D-17", "registrations": 6, "parties": 1, "numbers_activated": 6, "numbers_held": 6,
        "unverified": 6, "misused": 6, "audits_done": 0, "audits_late": 6, "audits_due": 0, "audits_missed": 0,
        "next_audit_due_on": None, "last_registered_on": None,
    }  # fmt: skip


def test_six_numbers_are_over_the_limit_only_from_2016(harbin):
    """There was no limit in 2014; the six were opened before it, so that none was activated over it."""
    (person,) = all_persons(harbin, ON)
    assert (person["person_id"], person["numbers_held"], person["accounts"]) == ("P-HRB", 6, 6)
    assert (person["numbers_max"], person["over_limit"]) == (None, False)
    (later,) = all_persons(harbin, date(2016, 6, 1), over_limit=True)
    assert (later["numbers_max"], later["activated_over_limit"]) == (5, 0)


def test_parties_of_one_document_are_one_person(deployment):
    """Given numbers of three parties of one document, one of which took in a fourth, then one person holds all."""
    made = History(source="urn:recount:twins").at("2016-07-01")
    for party, document in (("A", "a"), ("B", "b"), ("C", "a"), ("D", "a"), ("E", "e")):
        made.party(party, contact=None, document=document)
        for n in (1, 2):
            made.account(f"{party}{n}", "mobile", party_id=party)
            made.number(f"{party}{n}")
    made.merged("B", "C")
    bring(deployment, *(canonical(event) for event in made.events), now=KNOWN_AT)
    catch_up(deployment, MODELS, lambda: KNOWN_AT)
    ledger = deployment.ledger(LEDGER)
    shown = {p["person_id"]: (p["parties"], p["numbers_held"], p["over_limit"]) for p in all_persons(ledger)}
    assert shown == {"A": (["A", "B", "C", "D"], 8, True), "E": (["E"], 2, False)}
    (found,) = all_persons(ledger, party_id="D", over_limit=True)
    assert found["person_id"] == "A"


def test_the_case_has_no_owner_and_is_to_be_answered_by_christmas_eve(harbin):
    """Four staff spoke to the customer, none of them clearly; nobody owns the case."""
    (case,) = all_cases(harbin, ON)
    assert (case["status"], case["answer_timing"], case["days_open"]) == ("open", "due", 8)
    assert case["must_answer_by"] == case["answer_due_on"] == date(2014, 12, 24)
    assert (case["contacts"], case["staff"], case["unclear_contacts"]) == (4, 4, 4)
    assert (case["owner_id"], case["unit"], case["channel"], case["apologies"]) == (None, None, "store", 1)
    assert all_cases(harbin, date(2014, 12, 25))[0]["answer_timing"] == "missed"
    assert all_cases(harbin, ON, answer="late") == []
    (times,) = cases.times(harbin, ON, Anything(*CASE_FILTERS))
    assert (times["cases"], times["open"], times["answer_due"], times["days_to_close_median"]) == (
        1,
        1,
        1,
        None,
    )


# -- any history: the registers say what the findings say ---------------------------------------------------


def life(number):  # noqa: PLR0915 - a list of what may happen
    """Return a history of two persons, two accounts and a case in which anything may happen on any day."""
    chance = random.Random(number)
    name = f"w{number}"
    made = History(source=f"urn:recount:{name}")

    def day(first="2012-01-01", last="2017-12-31"):
        start, end = date.fromisoformat(first), date.fromisoformat(last)
        on = start + timedelta(days=chance.randint(0, (end - start).days))
        return f"{on}T{chance.randint(0, 23):02}:{chance.randint(0, 59):02}"

    def sometimes_known_late():
        return {"known": day("2018-01-01", "2018-01-31")} if chance.random() < 0.1 else {}

    made.at("2011-12-01")
    for party in ("P", "Q"):
        made.party(f"{name}{party}", contact=None)
    for index, account in enumerate(("A", "B")):
        line = "fixed_broadband" if index == 0 or chance.random() < 0.5 else "mobile"
        made.account(f"{name}{account}", line, party_id=f"{name}P")
    made.subjects["case"] = f"case/{name}C"
    made.complaint(at=day("2012-01-01", "2014-12-31"))

    def account():
        return made.on(f"{name}{chance.choice('AB')}")

    def party():
        made.subjects["party"] = f"party/{name}{chance.choice('PPPQ')}"
        return made

    def charge():
        due = day("2013-01-01", "2017-06-30")[:10]
        made.charge(
            f"m{chance.randint(1, 6)}",
            1_000 * chance.randint(1, 5),
            due=due,
            at=day("2012-06-01", "2017-06-30"),
        )

    def pay():
        on = day()[:10] if chance.random() < 0.4 else None
        account().paid(
            1_000 * chance.randint(1, 12),
            payment_id=f"py{chance.randint(1, 5)}",
            at=day(),
            **({"on": on} if on else {}),
        )

    def sell():
        year = chance.randint(2012, 2016)
        start, end = f"{year}-0{chance.randint(1, 9)}-10", f"{year + 1}-0{chance.randint(1, 9)}-10"
        account().sold_annual(start, end, package=f"PK{chance.randint(1, 2)}", at=start)

    def notify():
        name_, at = f"n{len(made.events)}", day()
        sold = [e.data for e in made.events if type(e.data).__name__ == "PackageSubscribed"]
        if sold and chance.random() < 0.8:
            at = f"{chance.choice(sold).end + timedelta(days=chance.randint(-35, 35))}T10:00"
        purpose = chance.choice(["pre_expiry", "post_expiry", "renewal", "arrears", "blacklist"])
        channel = chance.choice(["web_push", "sms", "call", "visit"])
        contact = chance.choice([f"{name}CP1", f"{name}CP2", f"{name}CP1", None])
        account().tried(purpose, channel, notice_id=name_, contact=contact, at=at)
        if chance.random() < 0.7:
            made.delivered(name_, at=at, **sometimes_known_late())

    def remind():
        sold = [e for e in made.events if type(e.data).__name__ == "PackageSubscribed"]
        if sold:
            sale = chance.choice(sold)
            made.on(sale.subject.partition("/")[2])
            for purpose, days in (("pre_expiry", -5), ("post_expiry", 5)):
                on = str(sale.data.end + timedelta(days=days))
                made.told(purpose, on, f"n{len(made.events)}", contact=f"{name}CP1")

    def activate():
        number_id = f"{name}N{chance.randint(1, 8)}"
        account().number(number_id, f"R{chance.randint(1, 4)}", chance.choice([None, "D1"]), at=day())

    entries = iter(range(100))
    acts = [
        lambda: account() and charge(),
        lambda: account() and charge(),
        pay,
        pay,
        sell,
        sell,
        notify,
        notify,
        notify,
        remind,
        remind,
        lambda: account().fee(f"m{chance.randint(1, 6)}", fee_id=f"lf{chance.randint(1, 3)}", at=day()),
        lambda: account().bounced(f"py{chance.randint(1, 5)}", at=day()),
        lambda: account().reversed(f"m{chance.randint(1, 6)}", 1_000, at=day()),
        lambda: account().written_off(1_000 * chance.randint(1, 9), at=day()),
        lambda: account().terminated(at=day()),
        lambda: account().transferred(f"{name}{chance.choice('PQ')}", f"{name}P", at=day()),
        lambda: party().contact(f"{name}CP{chance.randint(1, 2)}", at=day("2012-01-01", "2014-01-01")),
        lambda: party().contact(f"{name}CP{chance.randint(1, 2)}", at=day("2012-01-01", "2013-01-01")),
        lambda: party().abandoned(f"{name}CP{chance.randint(1, 2)}", at=day()),
        lambda: party().listed(f"BL{next(entries)}", f"{name}{chance.choice('ABZ')}", at=day()),
        lambda: party().listed(f"BL{next(entries)}", f"{name}{chance.choice('AB')}", at=day()),
        lambda: party().unlisted(f"BL{chance.randint(0, 2)}", at=day()),
        lambda: party().verified(f"R{chance.randint(1, 4)}", dealer=chance.choice([None, "D1"]), at=day()),
        lambda: party().audited(f"R{chance.randint(1, 4)}", at=day()),
        lambda: party().misused(f"R{chance.randint(1, 4)}", at=day("2016-01-01", "2017-12-31")),
        activate,
        activate,
        lambda: account().released(f"{name}N{chance.randint(1, 8)}", at=day()),
        lambda: made.answered(at=day()),
        lambda: made.promised(day()[:16] + ":00", f"CM{chance.randint(1, 3)}", at=day()),
        lambda: made.met(f"CM{chance.randint(1, 3)}", at=day()),
        lambda: made.missed(f"CM{chance.randint(1, 3)}", at=day()),
        lambda: made.granted(chance.choice([None, "CM1", "CM2"]), at=day()),
        lambda: made.handled(at=day()),
    ]
    for _ in range(chance.randint(15, 60)):
        chance.choice(acts)()
    if chance.random() < 0.3:
        made.merged(f"{name}Q", f"{name}P", at=day())
    return made


@pytest.fixture(scope="module")
def lives(server):
    """Return the lives in one ledger, what the rules know of each, and the ledger."""
    with fresh_database(server, "lives") as url:
        opened = opened_deployment(url)
        made = [life(number) for number in range(WORLDS)]
        bring(opened, *(canonical(event) for one in made for event in one.events), now=KNOWN_AT)
        catch_up(opened, MODELS, lambda: KNOWN_AT)
        ledger = opened.ledger(LEDGER)
        worlds = [
            World({s: ledger.history(s) for s in {e.subject for e in one.events}}, KNOWN_AT, 10**9, LEDGER)
            for one in made
        ]
        yield ledger, worlds
        opened.close()


BOOK = Rulebook()


def test_every_row_is_what_a_replay_by_other_code_says(lives):
    """Given any histories, verify finds nothing."""
    ledger, _ = lives
    found = verify(ledger, MODELS, KNOWN_AT, sample=None)
    assert (found.differences, found.unchecked) == ([], [])
    assert found.rows["notices"] > 500


def test_a_notice_reaches_whom_the_findings_say(lives):
    """By the holder then, the persons they were merged into, and the contact point's times."""
    ledger, worlds = lives
    shown = {(s, v): reach for s, v, reach in notices.reaches(ledger) if reach not in ("failed", "pending")}
    expected = {}
    for world in worlds:
        for account in world.accounts.values():
            for delivery in account.deliveries:
                expected.setdefault((account.subject, delivery.attempted.version), delivery.reach)
    assert shown == expected
    assert {"reached", "astray", "unknown"} <= set(shown.values())


def test_a_terms_verdict_is_the_findings(lives):
    """Term by term, in the rulebook's windows."""
    ledger, worlds = lives
    shown = {}
    for term in sorted(all_terms(ledger), key=lambda t: (t["account_id"], t["version"])):
        shown.setdefault(term["account_id"], []).append((term["end_on"], term["verdict"]))
    expected = {}
    for world in worlds:
        for account in world.accounts.values():
            found = [(o.on, o.verdict) for o in expiry_notice(account, Measure(BOOK, "expiry-notice"))]
            if found:
                expected[account.state.account_id] = found
    assert {k: sorted(v) for k, v in shown.items()} == {k: sorted(v) for k, v in expected.items()}
    assert {v for found in expected.values() for _, v in found} >= {"breach", "kept"}


def test_an_entrys_debt_was_cleared_when_the_findings_say(lives):
    """And it has to go by the same day."""
    ledger, worlds = lives
    shown = {
        (e["party_id"], e["version"]): (e["cleared_on"], e["clearing_deadline"], e["removed_on"])
        for e in all_entries(ledger)
    }
    expected = {}
    for world in worlds:
        for party in world.parties.values():
            for added, entry in party.of(pv.BlacklistEntryAdded):
                cleared = cleared_by(party, added, entry)
                removed = removal_of(party, added, entry)
                expected[party.party_id, added.version] = (
                    cleared and cleared[0],
                    cleared and working_days_after(cleared[0], 5),
                    removed and party.day(removed),
                )
    assert shown == expected
    assert sum(c is not None for c, _, _ in expected.values()) > 20
    assert sum(c is None for c, _, _ in expected.values()) > 20


def test_a_registrations_audit_is_the_findings(lives):
    """Of registrations made by dealers."""
    ledger, worlds = lives
    verdicts = {"done": "kept", "due": "undetermined", "late": "breach", "missed": "breach"}
    shown = {
        (r["party_id"], r["registration_id"]): (verdicts[r["audit"]], r["registered_on"])
        for r in all_registrations(ledger)
        if r["dealer_id"] is not None
    }
    expected = {}
    for world in worlds:
        for party in world.parties.values():
            for seen in registration_audit(party, Measure(BOOK, "registration-audit")):
                expected[party.party_id, seen.observed.partition(" ")[0]] = seen.verdict, seen.on
    assert shown == expected
    assert {v for v, _ in expected.values()} >= {"kept", "breach"}


def test_a_person_holds_the_numbers_the_limit_counts(lives):
    """By party, those merged counted as one."""
    ledger, worlds = lives
    shown = {p["person_id"]: p["numbers_held"] for p in all_persons(ledger)}
    expected = {}
    for world in worlds:
        held = {}
        for party in world.parties.values():
            numbers = set()
            for account in party.accounts:
                own = set()
                for _, gained, lost in number_steps(account, party.party_id):
                    own = own - lost | gained
                numbers |= own
            root = world.person(party.party_id)[-1].party_id
            held[root] = held.get(root, set()) | numbers
        expected |= {person: len(numbers) for person, numbers in held.items() if numbers}
    assert shown == expected


def test_an_answer_and_a_promise_are_judged_as_the_findings_judge_them(lives):
    """The first complaint's answer; each promise met, open, missed or remedied."""
    ledger, worlds = lives
    timing = {"in_time": "kept", "due": "undetermined", "late": "breach", "missed": "breach"}
    kept = {"met": "kept", "remedied": "kept", "open": "undetermined", "missed": "breach"}
    answers = {
        c["case_id"]: timing[c["answer_timing"]] for c in all_cases(ledger) if c["kind"] == "complaint"
    }
    promises = {}
    for promise in sorted(all_commitments(ledger), key=lambda p: (p["case_id"], p["made_at"], p["version"])):
        promises.setdefault(promise["case_id"], []).append(kept[promise["status"]])
    expected_answers, expected_promises = {}, {}
    for world in worlds:
        for case in world.cases.values():
            if not case.state.opened:
                continue
            name = case.state.case_id
            judged = list(complaint_answer(case, Measure(BOOK, "complaint-answer")))
            if judged:
                expected_answers[name] = judged[0].verdict
            about = [
                o.verdict
                for o in commitment_first(case, Measure(BOOK, "commitment-first"))
                if o.observed[:2] == "CM"
            ]
            if about:
                expected_promises[name] = about
    assert answers == expected_answers
    assert promises == expected_promises


def test_spells_are_what_the_books_say_at_each_moment(lives):
    """In one pass over an account, the same as asked anew for every moment."""
    _, worlds = lives
    asked = 0
    for world in worlds[:20]:
        for account in world.accounts.values():
            spells, _ = overdue_spells(account)
            for moment_ in sorted({r.event.time for r in account.history}):
                owed = account.owed_at(moment_, account.state.region, as_it_stood=True)
                overdue = bool(owed.late_fee_fen) or owed.past_due.arrears_since is not None
                inside = any(s.since <= moment_ and (s.until is None or moment_ < s.until) for s in spells)
                assert inside == overdue, (account.subject, moment_)
                asked += 1
    assert asked > 200


# -- the rulebook -------------------------------------------------------------------------------------------


def test_given_other_parameters_when_it_is_read_then_the_deadlines_are_theirs(deployment):
    """A published version changes the registers at once, for conduct from its day on; nothing is folded anew."""
    made = History().at("2016-03-01").published("blacklist-removal", "2", "2016-04-01", {"working_days": 2})
    made.published("complaint-answer", "2", "2016-04-01", {"days": 7}).party().account()
    for number, day in enumerate(("2016-03-25", "2016-04-22")):  # both Fridays
        made.at("2016-02-01").charge(f"m{number}", due="2016-02-10").at("2016-03-01").listed(f"BL{number}")
        made.at(day).paid(payment_id=f"py{number}")
        made.subjects["case"] = f"case/C{number}"
        made.complaint()
    bring(deployment, *(canonical(event) for event in made.events), now=KNOWN_AT)
    catch_up(deployment, MODELS, lambda: KNOWN_AT)
    ledger = deployment.ledger(LEDGER)
    assert {(e["cleared_on"], e["clearing_deadline"]) for e in all_entries(ledger)} == {
        (date(2016, 4, 22), date(2016, 4, 26))
    }
    assert [str(c["must_answer_by"]) for c in all_cases(ledger)] == ["2016-04-09", "2016-04-29"]
