"""What a second look at the read models found: each test failed once."""

import base64
import random
from datetime import date, timedelta

import orjson
import pytest

from api.runtime import READ_MODELS, Runtime
from domain.calendar import start_of
from domain.closing import _settled_since
from domain.decisions.debts import debtor
from domain.events import account as av
from domain.ledger.codec import canonical
from domain.party import Party
from domain.party import fold as party_fold
from domain.policies import reminders, service, standing
from domain.replay import in_order
from domain.rules.book import Rulebook
from domain.rules.facts import Measure
from projections import notices
from projections.billing_status import BillingStatus
from projections.blacklist import Blacklist
from projections.dunning import NOTICES, STEP_KEY, Dunning, steps_of
from projections.engine import Seen, building, catch_up, rebuild, standings
from projections.paging import Order
from tests import support
from tests.histories import History
from tests.http_service import Client, problem, serving
from tests.scenario import REGION, moment
from tests.support import LEDGER, bring, charge_line, opening_line, payment_line

pytest_plugins = ["tests.http_fixtures"]
BOOK = Rulebook()
LATER = moment("2015-01-01")


def day(number):
    """Return a day of 2014, and of the years around it."""
    return str(date(2014, 1, 1) + timedelta(days=number))


def folded(model, history, now):
    """Return a model's rows and when they change, for one stream's history that is all known."""
    state = model.begin(history[0].event.subject)
    for recorded in in_order(history):
        model.step(state, recorded)
    return state, model.rows(state, Seen(history[0].event.subject, len(history), history[-1].position, now))


# -- the worklist, of histories that no command would have led to -------------------------------------------


def disordered(chance):
    """Return an account's observed history of half a year, lawful or not, and its last day."""
    made = History().at(day(-30)).party()
    made.account(line=chance.choice(["mobile", "fixed_broadband"]), suspend_after_days=chance.choice([5, 30]))
    if chance.random() < 0.3:
        made.sold_annual(day(-25), day(10))
    last = 0
    for n in range(1, chance.randrange(2, 14)):
        last += chance.randrange(25)
        made.at(day(last))
        other = f"c{chance.randrange(1, n + 1)}"
        charges = chance.choice([None, (other,)])
        match chance.choice(
            ["charge"] * 3 + ["notice"] * 3 + ["paid", "stop", "end", "hold", "free", "moved", "back"]
        ):
            case "charge":
                due, kind = day(last + chance.randrange(-5, 20)), chance.choice(["monthly", "usage"])
                made.charge(f"c{n}", 5_000, start=day(last - 20), end=day(last), due=due, kind=kind)
            case "paid":
                made.paid(3_000, on=day(last + chance.randrange(-5, 40)), payment_id=f"p{n}")
            case "stop":
                made.suspended(chance.choice(["arrears", "arrears", "customer_request"]))
            case "end":
                made.terminated(chance.choice(["arrears", "customer_request"]))
            case "notice":
                purpose = chance.choice(["arrears", "suspension", "termination", "blacklist"])
                about = {"package": chance.choice([None, None, "PK"]), "charges": charges}
                contact = chance.choice(["CP", "CP", None])
                made.tried(
                    purpose,
                    chance.choice(["sms", "call", "visit"]),
                    notice_id=f"n{n}",
                    contact=contact,
                    **about,
                )
                if chance.random() < 0.4:
                    made.delivered(f"n{n}")
                else:
                    made.add(av.NoticeFailed(notice_id=f"n{n}", reason="no_answer"))
            case "hold":
                scopes = [("suspension",), ("blacklist",), ("suspension", "blacklist")]
                made.hold(*chance.choice(scopes), charges=charges, hold_id=f"h{n}")
            case "free":
                made.let_go(f"h{chance.randrange(1, n + 1)}")
            case "moved":
                made.transferred("P2", stays_with=chance.choice(["from", "to"]))
            case "back":
                made.reversed(other, 5_000)
    return made.recorded(), last


def due_by_the_policies(account, people, on):
    """Return the steps that the close of a day takes."""
    least_days = Measure(BOOK, "termination-window").at(on, "days")
    channels = Measure(BOOK, "expiry-notice").at(on, "channels")
    found = {
        NOTICES[reminder.purpose]
        for reminder in reminders.arrears_reminders(account, on, BOOK)
        if reminder.opens <= on <= reminder.closes
        and any(reminders.next_step(account, people, reminder, channels, on))
    }
    if any(service.arrears_suspension_due(account, on)):
        found.add("suspend")
    if any(service.termination_due(account, on, least_days)) and not _settled_since(account, on):
        found.add("terminate")
    if any(standing.listing_due(account, people, on)):
        found.add("blacklist")
    return found


def test_whatever_was_observed_the_worklist_has_what_the_policies_would_do():
    """Day by day, also between two foldings; and no step is about a debt that is not the holder's."""
    model, seen = Dunning(), set()
    for seed in range(120):
        histories, last = disordered(random.Random(seed))
        holder = Party("P")
        for recorded in histories["party/P"]:
            party_fold.step(holder, recorded)
        rows, again_at = [], start_of(date(2014, 1, 1), REGION)
        for number in range(last, last + 130):
            on = date(2014, 1, 1) + timedelta(days=number)
            now = start_of(on, REGION) + timedelta(hours=12)
            if again_at is not None and again_at <= now:
                account, found = folded(model, histories["account/A"], now)
                rows, again_at = found.tables.get("dunning_step", []), found.changes_at
                holder.party_id = account.party_id
            ready = [
                s
                for s in rows
                if not s.blocked and s.from_on <= on and (s.until_on is None or on <= s.until_on)
            ]
            assert {s.action for s in ready} == due_by_the_policies(account, [holder], on), (seed, on)
            for step in ready:
                charges = [account.books.charges[charge_id] for charge_id in step.charge_ids]
                assert {debtor(account, charge) for charge in charges} == {account.party_id}, (seed, on)
            seen |= {s.action for s in ready}
    assert seen >= {"remind", "suspend", "terminate", "announce_suspension", "announce_termination"}


def test_nobody_is_reminded_of_what_stayed_with_an_earlier_holder():
    """Given a debt that a transfer left behind, then the step is blocked; of two debts only the holder's is asked."""
    made = History().at("2014-01-01").party().account(line="mobile").charge("old", 700, due="2014-01-31")
    made.at("2014-02-10").transferred("P2", stays_with="from")
    _, rows = folded(Dunning(), made.recorded()["account/A"], moment("2014-02-11"))
    (remind,) = (s for s in rows.tables["dunning_step"] if s.action == "remind")
    assert remind.blocked_by == [{"reason": "earlier_holders_debt", "id": "old"}]
    made.at("2014-02-11").charge("own", 30, due="2014-02-20")
    _, rows = folded(Dunning(), made.recorded()["account/A"], moment("2014-02-25"))
    (remind,) = (s for s in rows.tables["dunning_step"] if s.action == "remind")
    assert (remind.blocked, remind.amount_fen, remind.charge_ids) == (False, 30, ["own"])


@pytest.mark.storage
def test_nobody_is_pressed_for_a_number_made_with_their_documents(deployment):
    """Given a confirmed misuse of the holder's identity, then no step is free, as the close of day takes none."""
    made = History().at("2014-01-01").party()
    for account_id, registration_id in (("A1", "R1"), ("A2", "R2"), ("A3", "R3")):
        made.account(account_id, line="mobile").number(f"N-{account_id}", registration_id)
        made.charge(f"c-{account_id}", due="2014-01-31")
    made.at("2014-02-10").misused("R1", numbers=("N-A2",))
    bring(deployment, *map(canonical, made.events), now=LATER)
    catch_up(deployment, READ_MODELS, lambda: LATER)
    wanted = dict.fromkeys(("due_by", "account_id", "party_id", "city", "action", "blocked", "amount_fen"))
    whole = Order(STEP_KEY[0], descending=False, key=STEP_KEY), None, 100
    found = steps_of(deployment.ledger(LEDGER), LATER.date(), wanted, whole)
    reasons = {
        (s["account_id"], s["action"]): [b["id"] for b in s["blocked_by"]] for s in found if s["blocked"]
    }
    assert reasons == {
        (account_id, action): [f"N-{account_id}"]
        for account_id in ("A1", "A2")
        for action in ("remind", "suspend")
    }
    free = steps_of(deployment.ledger(LEDGER), LATER.date(), {**wanted, "blocked": False}, whole)
    assert {s["account_id"] for s in free} == {"A3"}


# -- when a debt was cleared --------------------------------------------------------------------------------


def misdated(chance):
    """Return an account's history of money dated anyhow: reversals before their charges, payments that bounced."""
    made = History().at(day(-5)).party().account()
    for _ in range(chance.randrange(2, 20)):
        number = chance.randrange(150)
        made.at(day(number))
        charge_id, payment_id = f"c{chance.randrange(3)}", f"p{chance.randrange(3)}"
        match chance.choice(
            ["charge", "charge", "paid", "paid", "back", "fee", "waived", "bounced", "credit"]
        ):
            case "charge":
                made.charge(charge_id, 3_333, due=day(number + chance.randrange(-40, 40)))
            case "paid":
                made.paid(
                    chance.choice([100, 3_333]),
                    on=day(number + chance.randrange(-40, 40)),
                    payment_id=payment_id,
                )
            case "back":
                made.reversed(charge_id, chance.choice([100, 3_333]))
            case "fee":
                made.fee(charge_id, day(number - 3), day(number), fee_id="f")
            case "waived":
                made.reversed(fee_id="f", amount_fen=90)
            case "bounced":
                made.bounced(payment_id)
            case "credit":
                made.written_off(100)
    return made.recorded()["account/A"]


def test_however_a_history_is_dated_an_overdue_spell_ends_when_the_finding_says():
    """The register's spells in one pass are those of asking the books anew of each moment, which the rule does."""
    model, cleared = Blacklist(), 0
    for seed in range(250):
        history = misdated(random.Random(seed))
        rows = folded(model, history, LATER)[1].tables
        seen = Seen("account/A", len(history), history[-1].position, LATER)
        expected = model.expected(history, seen, REGION)
        assert sorted(rows["overdue_spell"]) == sorted(expected["overdue_spell"]), seed
        assert rows["blacklist_basis"] == expected["blacklist_basis"]
        cleared += sum(s.cleared_at is not None for s in rows["overdue_spell"])
    assert cleared > 50


# -- contact points -----------------------------------------------------------------------------------------


@pytest.mark.storage
def test_a_contact_point_has_what_was_sent_to_its_own_party(deployment):
    """Given a legacy system that counts contact points by party, then nobody has what was sent to others."""
    made = History().at("2014-01-01")
    for name in ("1", "2"):
        made.party(f"P{name}", contact="CP-1").account(f"A{name}")
    made.on("A1").at("2014-02-01").tried("arrears", contact="CP-1")
    made.party("P3", contact="CP-OWN").on("A1").tried("arrears", contact="CP-OWN", notice_id="astray")
    bring(deployment, *map(canonical, made.events), now=LATER)
    catch_up(deployment, READ_MODELS, lambda: LATER)
    names = ("city", "party_id", "kind", "reason", "reaches_nobody", "still_used")
    whole = Order(notices.CONTACT_SORTS[0], descending=False, key=notices.CONTACT_KEY), None, 100
    found = notices.contact_points(deployment.ledger(LEDGER), dict.fromkeys(names), whole)
    assert {(p["party_id"], p["contact_point_id"]): p["attempts"] for p in found} == {
        ("P1", "CP-1"): 1,
        ("P2", "CP-1"): 0,
        ("P3", "CP-OWN"): 1,  # whoever it was meant for
    }


# -- a rebuild that another program began -------------------------------------------------------------------


@pytest.mark.storage
def test_what_another_program_left_half_made_is_made_anew(deployment, monkeypatch):
    """Given a rebuild cut off, when the code changes without a new version, then no row of the old code is kept."""
    bring(deployment, *(opening_line(f"A{n}") for n in range(3)))
    catch_up(deployment, READ_MODELS, lambda: LATER)
    ledger, model = deployment.ledger(LEDGER), BillingStatus()

    def cut_off(_progress):
        raise ConnectionAbortedError

    def begun():
        query = "SELECT generation FROM read_model_generation WHERE state = 'building'"
        return support.select(deployment, query)

    for program in ("one", "one", "another"):
        monkeypatch.setattr(building, "program", lambda program=program: program)
        before = begun()
        with pytest.raises(ConnectionAbortedError):
            rebuild(deployment, ledger, model, lambda: LATER, show=cut_off)
        assert (begun() == before) == (program == "one" and before != [])
    assert rebuild(deployment, ledger, model, lambda: LATER)
    assert begun() == []


# -- over HTTP ----------------------------------------------------------------------------------------------


def cursor(*values):
    """Return a cursor as a caller might make one up."""
    return base64.urlsafe_b64encode(orjson.dumps(values)).rstrip(b"=").decode()


@pytest.mark.storage
def test_no_word_or_cursor_breaks_a_list(seen: Client):
    """Given a text with NUL, or a moment with an offset no database knows, then it is no server's error."""
    problem(seen.get("/registers/cases?unit=a%00b"), 422, "request.invalid")
    problem(seen.get("/registers/commitments?unit=%00"), 422, "request.invalid")
    far = "2014-06-01T00:00:00+23:59"
    place = cursor("invalid_since", far, "P", "CP")
    assert seen.get(f"/registers/contact-points?sort=invalid_since&after={place}").status_code == 200
    feed = cursor(LEDGER, BillingStatus.version, 0, far, 0, far, None)
    assert seen.get(f"/billing/changes?after={feed}").status_code == 200


@pytest.mark.storage
def test_a_city_has_its_own_accounts_and_changes(runtime: Runtime):
    """Given accounts of two cities, then a city's list and feed have its own, and cursors are of one or the other."""
    bring(runtime.deployment, opening_line("A1"), opening_line("A2", region="heilongjiang.daqing"))
    catch_up(runtime.deployment, READ_MODELS, runtime.clock)
    with serving(runtime) as client:
        for address in ("/billing/accounts", "/billing/changes"):
            for region, own in (
                ("heilongjiang", ["A1", "A2"]),
                ("heilongjiang.harbin", ["A1"]),
                ("heilongjiang.daqing", ["A2"]),
                ("heilongjiang.suihua", []),
            ):
                found = client.get(f"{address}?region={region}").json()
                assert [a["account_id"] for a in found["accounts"]] == own
        following = client.get("/billing/changes?region=heilongjiang.harbin").json()["next"]
        assert client.get(f"/billing/changes?region=heilongjiang.harbin&after={following}").status_code == 200
        for other in ("heilongjiang", "heilongjiang.daqing"):
            refused = client.get(f"/billing/changes?region={other}&after={following}")
            problem(refused, 422, "request.invalid")


@pytest.mark.storage
def test_figures_that_a_new_day_made_old_say_how_old_they_are(deployment):
    """Given a value date that came while nobody moved the model, then the answer has an age, though nothing is new."""
    now = moment("2014-02-01")
    bring(
        deployment,
        opening_line("A"),
        charge_line("A", amount_fen=500, at="2014-01-05T10:00:00+08:00"),
        now=now,
    )
    bring(deployment, payment_line("A", "P", 500, "2014-02-02", at="2014-02-01T09:00:00+08:00"), now=now)
    catch_up(deployment, READ_MODELS, lambda: now)
    with serving(Runtime(deployment, clock=lambda: now)) as client:
        assert client.get("/billing/accounts/A").json()["projection"]["age_s"] == 0
    late = start_of(date(2014, 2, 2), REGION) + timedelta(hours=2)
    with serving(Runtime(deployment, clock=lambda: late)) as client:
        answer = client.get("/billing/accounts/A").json()
        assert (answer["projection"]["lag"], answer["projection"]["age_s"]) == (0, 7_200)
        with deployment.database.owner() as connection:
            query = "SELECT due_at FROM ledger_heilongjiang_billing.freshness WHERE model = 'billing_status'"
            assert connection.execute(query).fetchall() == [(start_of(date(2014, 2, 2), REGION),)]
        catch_up(deployment, READ_MODELS, lambda: late)
        answer = client.get("/billing/accounts/A").json()
        assert (answer["balance_fen"], answer["projection"]["age_s"]) == (0, 0)
    assert {s.due_at for s in standings(deployment.ledger(LEDGER)) if s.name == "billing_status"} == {None}
