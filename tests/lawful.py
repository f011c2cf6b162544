"""An operator that only asks: histories made by the domain's own commands and the close of each day.

Nothing here writes an event: what happens is what `decide` answers and what the close of day asks for. Notices
go through a gateway that takes them the next morning and delivers them or not. A refusal is kept and changes
nothing: whoever asked for it may not.
"""

import itertools
from collections import Counter
from datetime import date, datetime, time, timedelta

from domain.account import Account, figures
from domain.calendar import start_of, zone_of
from domain.case import Case
from domain.closing import Closing, asked_of, due_on_account, due_on_case, due_on_party, moment_of_closing
from domain.commands import Asked
from domain.commands import account as ac
from domain.commands import case as cc
from domain.commands import dealer as dc
from domain.commands import party as pc
from domain.counterfactual import counterfactual
from domain.decisions import decide, needs
from domain.events import Event, Recorded
from domain.party import Party
from domain.policies.due import NoticeRequest, Order, Task
from domain.refusals import Refused
from domain.replay import in_order
from domain.rules.book import rulebook_of
from domain.rules.table import Inquiry, findings
from domain.streams import begin, state_of

REGION = "heilongjiang.harbin"
OPTIONS = ("suspend", "convert_to_monthly", "renew_annual")
ONE_DAY = timedelta(days=1)
ROUNDS_MAX = 12


class Operator:
    """Streams in memory, driven day by day. `deliver(request, number)` says what becomes of a notice."""

    def __init__(self, first="2012-01-01", tariff=None, deliver=None, region=REGION):
        self.region = region
        self.today = date.fromisoformat(first)
        self.tariff = tariff or {}
        self.deliver = deliver or (lambda _request, _number: "delivered")
        self.histories: dict[str, list[Recorded]] = {}
        self.states = {}
        self.refused: list[tuple[str, Refused]] = []
        self.queue: dict[tuple[str, str], NoticeRequest] = {}
        self.sent = 0
        self.tasks: Counter[str] = Counter()
        self.position = 0
        self._numbers = itertools.count(1)
        self._clock = self.morning()

    # -- time

    def morning(self, hour=10):
        """Return an hour of today."""
        return datetime.combine(self.today, time(hour), tzinfo=zone_of(self.region))

    @property
    def now(self):
        """The present moment: every act is a second after the one before."""
        return max(self._clock, self.morning())

    def _tick(self, moment):
        self._clock = max(self._clock, moment) + timedelta(seconds=1)

    # -- asking

    def state(self, subject):
        """Return a stream's state."""
        if subject not in self.states:
            history = self.histories.get(subject)
            self.states[subject] = state_of(subject, in_order(history)) if history else begin(subject)
        return self.states[subject]

    def ask(self, subject, command, by="staff/S1", channel="store", at=None, **more):
        """Ask a command now; return whether it was accepted."""
        moment = at or self.now
        now = max(moment, self.now)
        asked = Asked(subject, command, by, channel, self.region, moment, **more)
        states = {}
        while missing := needs(asked, states) - states.keys():
            states |= {s: self.state(s) for s in missing}
        try:
            drafts = decide(asked, states, now)
        except Refused as refused:
            self.refused.append((type(command).__name__, refused))
            return False
        finally:
            self._tick(moment)
        for draft in drafts:
            self._append(draft.subject, draft.data, asked, now)
        return True

    def _append(self, subject, data, asked, now):
        self.position += 1
        history = self.histories.setdefault(subject, [])
        event = Event(
            id=f"e{next(self._numbers)}", source="urn:recount:lawful", subject=subject, time=asked.time,
            recordedtime=now, actor=asked.actor, channel=asked.channel,
            region=asked.region, data=data,
        )  # fmt: skip
        history.append(Recorded(event, len(history) + 1, self.position))
        self.states.pop(subject, None)

    # -- days

    def live(self, days=1):
        """Let days pass: the gateway works in the morning, and each day is closed at its end."""
        for _ in range(days):
            self._deliver()
            self.close()
            self.today += ONE_DAY

    def live_until(self, day):
        """Let days pass until a morning."""
        while self.today < date.fromisoformat(day):
            self.live()

    def close(self):
        """Close today."""
        now = start_of(self.today + ONE_DAY, self.region) - timedelta(minutes=5)
        self._clock = max(self._clock, now)
        for subject in sorted(self.histories):
            self._close(subject)

    def _close(self, subject):
        refused = set()
        for _ in range(ROUNDS_MAX):
            closing = self._closing()
            dues = list(dict.fromkeys(self._due(self.state(subject), closing)))
            orders = [d for d in dues if isinstance(d, Order) and d not in refused]
            if not orders:
                break
            for order in orders:
                asked = asked_of(order, closing, self.region)
                accepted = self.ask(
                    asked.subject, asked.command, asked.actor, asked.channel, at=closing.moment
                )
                if not accepted:
                    refused.add(order)
        else:
            raise AssertionError(f"{subject} on {self.today}: ever more is due: {orders}")
        for due in dues:
            if isinstance(due, NoticeRequest):
                self.queue.setdefault((due.account_id, due.notice_id), due)
            elif isinstance(due, Task):
                self.tasks[due.kind] += 1
                self._work_on(due)

    def _work_on(self, task):
        """Let a person do what a task asks for, where a person can."""
        if task.kind == "complaint_answer_due":
            self.ask(task.subject, cc.AnswerComplaint(outcome="rejected"))
        elif task.kind == "remedy_due":
            missed = next(
                c for c in self.state(task.subject).commitments.values()
                if c.status == "missed" and not c.remedy_granted
            )  # fmt: skip
            self.ask(task.subject, cc.GrantRemedy(kind="other", commitment_id=missed.commitment_id))

    def _closing(self):
        moment = moment_of_closing(self.today, self._clock, self.region)
        return Closing(self.today, moment, rulebook_of([]), self.tariff)

    def _due(self, state, closing):
        match state:
            case Account():
                return due_on_account(state, self._people(state.party_id), closing)
            case Party():
                accounts = {
                    e.basis_account_id: self.state(f"account/{e.basis_account_id}")
                    for e in state.blacklist.values()
                }
                return due_on_party(state, self._people(state.party_id), accounts, closing)
            case Case():
                return due_on_case(state, closing)
        return []

    def _people(self, party_id):
        found = []
        while party_id:
            found.append(self.state(f"party/{party_id}"))
            party_id = found[-1].merged_into
        return [p for p in found if p.opened]

    def _deliver(self):
        """Let the gateway take what is queued, and say what became of it."""
        for key, request in list(self.queue.items()):
            if self.state(f"account/{request.account_id}").notices.get(request.notice_id):
                continue
            if self.today > request.useful_until:
                del self.queue[key]
                continue
            self.sent += 1
            outcome = self.deliver(request, self.sent)
            if outcome == "not_taken":
                continue
            subject = f"account/{request.account_id}"
            attempt = ac.AttemptNotice(
                notice_id=request.notice_id, purpose=request.purpose, channel=request.channel,
                contact_point_id=request.contact_point_id, package_id=request.package_id,
                charge_ids=request.charge_ids,
            )  # fmt: skip
            if not self.ask(subject, attempt, "system/notices", "system"):
                continue
            if outcome == "delivered":
                self.ask(
                    subject, ac.ConfirmNoticeDelivery(notice_id=request.notice_id), "system/notices", "system"
                )
            elif outcome != "silent":
                failure = ac.ReportNoticeFailure(notice_id=request.notice_id, reason=outcome)
                self.ask(subject, failure, "system/notices", "system")

    # -- what is often asked

    def register(self, party_id="P", points=("mobile", "web_account", "postal")):
        """Register a person with ways to be reached."""
        subject = f"party/{party_id}"
        self.ask(subject, pc.RegisterParty(
            kind="individual", id_type="resident_id", id_hash="0" * 64, name="Li", id_number="1",
            address="Harbin",
        ))  # fmt: skip
        for kind in points:
            self.ask(subject, pc.AddContactPoint(contact_point_id=f"{party_id}-{kind}", kind=kind, value="1"))

    def open(self, account_id="A", party_id="P", line="fixed_broadband", **terms):
        """Open an account."""
        from tests.scenario import terms as contract

        self.ask(f"account/{account_id}", ac.OpenAccount(
            party_id=party_id, line_of_business=line, contract_terms=contract(**terms),
        ))  # fmt: skip

    def sell(self, option, account_id="A", package_id="PK", price_fen=108_000, offer_id="BB"):
        """Present the options, record the customer's choice, sell a year from today, and charge for it."""
        subject, start = f"account/{account_id}", self.today
        end = (
            start.replace(year=start.year + 1)
            if (start.month, start.day) != (2, 29)
            else start + 365 * ONE_DAY
        )
        self.ask(subject, ac.PresentExpiryOptions(package_id=package_id, options=OPTIONS))
        self.ask(
            subject,
            ac.SelectExpiryOption(
                package_id=package_id, option=option, selected_by="customer", consent_ref="C"
            ),
        )
        sold = self.ask(subject, ac.SubscribePackage(
            package_id=package_id, offer_id=offer_id, cycle="annual", price_fen=price_fen, start=start, end=end,
        ))  # fmt: skip
        if sold:
            self.ask(subject, ac.PostCharge(
                charge_id=f"{package_id}-year", kind="package", amount_fen=price_fen, period_start=start,
                period_end=end, due_on=start + timedelta(days=15),
            ))  # fmt: skip
        return end

    def pay(self, account_id="A", amount_fen=None, value_date=None):
        """Take a payment of everything that is owed, or of an amount."""
        subject = f"account/{account_id}"
        owed_fen = figures(self.state(subject).books, self.today).balance_fen
        amount_fen = owed_fen if amount_fen is None else min(amount_fen, owed_fen)
        if amount_fen > 0:
            self.ask(subject, ac.ReceivePayment(
                payment_id=f"PAY{next(self._numbers)}", amount_fen=amount_fen,
                value_date=value_date or self.today, method="cash",
            ))  # fmt: skip

    def complain(self, case_id="K", account_id="A", party_id="P"):
        """Take a complaint in, promise, and assign it."""
        subject = f"case/{case_id}"
        self.ask(subject, cc.ReceiveComplaint(
            party_id=party_id, account_ids=(account_id,), category="billing", summary="too much",
            answer_due_on=self.today + timedelta(days=15),
        ))  # fmt: skip
        self.ask(subject, cc.AssignCase(owner_id="S1", unit="complaints"))
        self.ask(subject, cc.MakeCommitment(
            commitment_id="C1", solution="look into it", due_at=self.morning() + timedelta(days=5),
            remedy_if_missed="a month free",
        ))  # fmt: skip
        self.ask(subject, cc.StartHandling(handler_id="S1"))

    def verify(self, registration_id="R1", party_id="P", dealer_id=None):
        """Compare the person with the documents of a registration."""
        self.ask(f"party/{party_id}", pc.VerifyIdentity(
            registration_id=registration_id, method="in_person", result="passed", dealer_id=dealer_id,
        ))  # fmt: skip

    def authorise(self, dealer_id="D"):
        """Authorise a dealer."""
        self.ask(f"dealer/{dealer_id}", dc.AuthoriseDealer(name="shop", manager_id="M1"))

    # -- what it comes to

    def known_at(self):
        """Return the last moment of yesterday: the last day that was closed."""
        return max(self._clock, start_of(self.today, self.region) - timedelta(microseconds=1))

    def findings(self, subject="party/P"):
        """Return the findings as known now."""
        return findings(Inquiry(subject, self.known_at(), self.position, self.region), self.histories)[
            "findings"
        ]

    def breaches(self, subject="party/P"):
        """Return the rules that are found broken."""
        return {f["rule_id"]: f["observed"] for f in self.findings(subject) if f["verdict"] == "breach"}

    def lawful(self, subject="party/P", **assume):
        """Return the counterfactual until yesterday."""
        return counterfactual(
            subject, self.histories, known_at=self.known_at(), position=self.position, region=self.region,
            until=self.today - ONE_DAY, assume=assume,
        )  # fmt: skip
