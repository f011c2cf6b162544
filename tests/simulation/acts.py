"""What may happen in a run: commands a clerk might ask, wise or not, and what a legacy system might tell, in any order.

Everything is drawn from the run's own chance, so that a seed always gives the same acts.
"""

import random
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import orjson

from domain.closing import Offer
from domain.commands import Asked, Command
from domain.commands import account as ac
from domain.commands import case as cc
from domain.commands import dealer as dc
from domain.commands import party as pc
from tests.scenario import terms

REGION = "heilongjiang.harbin"
LEGACY = "urn:recount:simulation"
"""The source of what is imported."""
TARIFF = {"BB": Offer("BB-M", 10_000, 96_000)}
OPTIONS = ("suspend", "convert_to_monthly", "renew_annual")
AMOUNTS_FEN = (1, 300, 3_000, 10_000, 25_000, 108_000)
BACK_DAYS_MAX = 400
FIRST = datetime.fromisoformat("2014-01-10T09:00:00+08:00")
"""When a run begins."""


@dataclass(frozen=True)
class Call:
    """A command a client asks under a key of its own, again and again until it is answered."""

    key: str
    asked: Asked


class Acts:
    """What comes to the mind of those who use a ledger; `chance` is the run's."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.parties = ["P1"]
        self.accounts = ["A1"]
        self.opened = ["A1"]
        """Accounts of which it is certain that they come to be."""
        self._numbers: dict[str, int] = {}

    def _new(self, prefix: str) -> str:
        self._numbers[prefix] = self._numbers.get(prefix, 0) + 1
        return f"{prefix}{self._numbers[prefix]}"

    def _some(self, prefix: str) -> str:
        """Return an id that was used before, most often the last one, or one that nobody knows."""
        last = self._numbers.get(prefix, 0)
        return f"{prefix}{max(1, last - self.chance.choice((0, 0, 0, 1, 2, -1)))}"

    # -- commands

    def opening(self, now: datetime) -> list[Call]:
        """Return the calls with which a run begins."""
        return [
            self.call(now, "party/P1", self._register()),
            self.call(now, "party/P1", self._contact()),
            self.call(now, "account/A1", self._open("P1")),
        ]

    def call(
        self,
        now: datetime,
        subject: str,
        command: Command,
        back: timedelta = timedelta(),
        *,
        by: str | None = None,
        channel: str = "store",
    ) -> Call:
        """Return a command as somebody asks it, under a new key."""
        key = self._new("key")
        actor = by or self.chance.choice(("staff/S1", "staff/S2", "system/crm"))
        # the correlation shows afterwards whose events stand in the log
        asked = Asked(
            subject, command, actor, channel, REGION, now - back, correlationid=key, evidenceref="E"
        )
        return Call(key, asked)

    def calls(self, now: datetime, most: int) -> list[Call]:
        """Return some commands that are asked at once."""
        return [self._any(now) for _ in range(self.chance.randint(1, most))]

    def _any(self, now: datetime) -> Call:
        make, weight = zip(*self._commands(), strict=True)
        subject, command = self.chance.choices(make, weight)[0](now.date())
        back = timedelta() if command.ENDOGENOUS else timedelta(days=self.chance.choice((0, 0, 0, 1, 40)))
        return self.call(now, subject, command, back)

    def _commands(self):
        return [
            (self._of_party, 5),
            (self._of_dealer, 1),
            (self._of_case, 2),
            (self._of_contract, 6),
            (self._of_money, 14),
            (self._of_conduct, 8),
        ]

    def _register(self):
        return pc.RegisterParty(
            kind="individual",
            id_type="resident_id",
            id_hash="0" * 64,
            name="Li",
            id_number="1",
            address="Harbin",
        )

    def _contact(self):
        return pc.AddContactPoint(contact_point_id=self._new("CP"), kind="mobile", value="139")

    def _open(self, party_id: str):
        line = self.chance.choice(("fixed_broadband", "mobile"))
        fees = self.chance.choice(("after_due", "after_suspension"))
        return ac.OpenAccount(
            party_id=party_id, line_of_business=line, contract_terms=terms(late_fee_start=fees)
        )

    def _of_party(self, _today: date):
        if self.chance.random() < 0.2 and len(self.parties) < 3:
            self.parties.append(f"P{len(self.parties) + 1}")
            return f"party/{self.parties[-1]}", self._register()
        subject = f"party/{self.chance.choice(self.parties)}"
        entry, account = self._new("BL"), self.chance.choice(self.accounts)
        return subject, self.chance.choice((
            self._contact(),
            pc.InvalidateContactPoint(contact_point_id=self._some("CP"), reason="abandoned"),
            pc.AddBlacklistEntry(entry_id=entry, basis_account_id=account),
            pc.RemoveBlacklistEntry(entry_id=self._some("BL"), reason="entered_in_error"),
            pc.VerifyIdentity(registration_id=self._new("R"), method="in_person", result="passed"),
            pc.AuditRegistration(registration_id=self._some("R"), result="clean"),
            pc.MergeParty(into_party_id=self.chance.choice(self.parties)),
        ))  # fmt: skip

    def _of_dealer(self, _today: date):
        return "dealer/D1", self.chance.choice((
            dc.AuthoriseDealer(name="Shop", manager_id="M1"),
            dc.BlockDealer(reason="misuse"),
            dc.ReinstateDealer(reason="appeal"),
        ))  # fmt: skip

    def _of_case(self, today: date):
        return "case/K1", self.chance.choice((
            cc.ReceiveComplaint(
                party_id=self.chance.choice(self.parties), account_ids=(self.chance.choice(self.accounts),),
                category="billing", summary="too much", answer_due_on=today + timedelta(days=15),
            ),
            cc.AssignCase(owner_id="S1", unit="complaints"),
            cc.MakeCommitment(
                commitment_id=self._new("CM"), solution="look", remedy_if_missed="a month free",
                due_at=f"{today + timedelta(days=self.chance.choice((1, 20)))}T12:00:00+08:00",
            ),
            cc.MeetCommitment(commitment_id=self._some("CM")),
            cc.StartHandling(handler_id="S1"),
            cc.AnswerComplaint(outcome="rejected"),
        ))  # fmt: skip

    def _of_contract(self, today: date):
        if self.chance.random() < 0.3 and len(self.accounts) < 4:
            self.accounts.append(f"A{len(self.accounts) + 1}")
            return f"account/{self.accounts[-1]}", self._open(self.chance.choice(self.parties))
        subject = f"account/{self.chance.choice(self.accounts)}"
        package, start = self._some("PK"), today - timedelta(days=self.chance.choice((0, 0, 360)))
        return subject, self.chance.choice((
            ac.PresentExpiryOptions(package_id=self._new("PK"), options=OPTIONS),
            ac.SelectExpiryOption(
                package_id=package, option=self.chance.choice(OPTIONS), selected_by="customer", consent_ref="C"
            ),
            ac.SubscribePackage(
                package_id=package, offer_id="BB", cycle="annual", price_fen=108_000, start=start,
                end=start + timedelta(days=365),
            ),
            ac.SubscribePackage(
                package_id=self._new("PK"), offer_id="M", cycle="monthly", price_fen=10_000, start=today
            ),
            ac.ActivateNumber(number="139", number_id=self._new("N"), registration_id=self._some("R")),
            ac.RequestCancellation(effective_from=today + timedelta(days=self.chance.choice((0, 9)))),
            ac.TransferAccount(
                to_party_id=self.chance.choice(self.parties), debt_stays_with=self.chance.choice(("from", "to"))
            ),
            ac.TakeDeposit(deposit_id=self._new("DP"), amount_fen=100),
        ))  # fmt: skip

    def _of_money(self, today: date):
        subject, amount = f"account/{self.chance.choice(self.accounts)}", self.chance.choice(AMOUNTS_FEN)
        value_date = today + timedelta(days=self.chance.choice((0, 0, 0, -3, -40, 5)))
        charge = self._some("CH")
        return subject, self.chance.choice((
            ac.PostCharge(
                charge_id=self._new("CH"), kind="usage", amount_fen=amount,
                period_start=today - timedelta(days=30), period_end=today,
            ),
            ac.ReceivePayment(
                payment_id=self._new("PAY"), amount_fen=amount, value_date=value_date, method="cash"
            ),
            ac.ReceivePayment(
                payment_id=self._some("PAY"), amount_fen=amount, value_date=value_date, method="cash"
            ),
            ac.ReversePayment(payment_id=self._some("PAY"), reason="bounced"),
            ac.AllocatePayment(payment_id=self._some("PAY"), charge_id=charge, amount_fen=amount),
            ac.GrantCredit(credit_id=self._new("CR"), amount_fen=amount, reason="goodwill"),
            ac.ReverseCharge(charge_id=charge, amount_fen=amount, reason="wrong"),
            ac.AssessLateFee(fee_id=self._new("LF"), charge_id=charge, to=today),
            ac.PayRefund(amount_fen=amount, method="bank"),
            ac.WriteOffDebt(amount_fen=amount, approver="boss"),
        ))  # fmt: skip

    def _of_conduct(self, _today: date):
        subject = f"account/{self.chance.choice(self.accounts)}"
        return subject, self.chance.choice((
            ac.PlaceDisputeHold(
                hold_id=self._new("H"), amount_fen=100, case_id="K1",
                scope=self.chance.choice((("late_fee",), ("suspension", "blacklist"))),
            ),
            ac.ReleaseDisputeHold(hold_id=self._some("H"), outcome="rejected"),
            ac.AttemptNotice(
                notice_id=self._new("NT"), purpose=self.chance.choice(("arrears", "blacklist")), channel="sms",
                contact_point_id=self._some("CP"),
            ),
            ac.ConfirmNoticeDelivery(notice_id=self._some("NT")),
            ac.ReportNoticeFailure(notice_id=self._some("NT"), reason="no_answer"),
            ac.SuspendService(reason=self.chance.choice(("arrears", "customer_request"))),
            ac.ResumeService(reason="customer_request"),
            ac.TerminateService(reason="customer_request"),
        ))  # fmt: skip

    # -- what a legacy system tells

    def history(self, now: datetime) -> list[bytes]:
        """Return what a legacy system tells of some accounts, each one's opening first; the rest in no order."""
        found = []
        for _ in range(self.chance.randint(1, 2)):
            account_id = self._new("L")
            self.accounts.append(account_id)
            self.opened.append(account_id)
            found.append(self._line(f"account/{account_id}", "AccountOpened", self._opened(), now))
            found += [self._observed(account_id, now) for _ in range(self.chance.randint(1, 7))]
        return found

    def addition(self, now: datetime) -> list[bytes]:
        """Return what a legacy system still had to tell, of accounts that may stand here already."""
        return [
            self._observed(self.chance.choice(self.opened), now) for _ in range(self.chance.randint(1, 4))
        ]

    def _opened(self):
        contract = {
            "payment_deadline_days": 15, "late_fee_start": "after_due", "restore_hours": 48,
            "suspend_after_days": 10, "terminate_after_days": 60,
        }  # fmt: skip
        return {"party_id": "P1", "line_of_business": "mobile", "contract_terms": contract}

    def _observed(self, account_id: str, now: datetime) -> bytes:
        amount = self.chance.choice(AMOUNTS_FEN)
        day = (now - timedelta(days=self.chance.randint(0, BACK_DAYS_MAX))).date()
        later = (day + timedelta(days=self.chance.choice((0, 10, 40)))).isoformat()
        charge, payment, hold, notice = (self._some(f"{account_id}-{k}") for k in ("CH", "PAY", "H", "NT"))
        kind, data = self.chance.choice((
            ("ChargePosted", {
                "charge_id": self._new(f"{account_id}-CH"), "kind": "monthly", "amount_fen": amount,
                "period_start": day.isoformat(), "period_end": later, "due_on": later,
            }),
            ("ChargePosted", {
                "charge_id": self._new(f"{account_id}-CH"), "kind": "usage", "amount_fen": amount,
                "period_start": day.isoformat(), "period_end": day.isoformat(), "due_on": day.isoformat(),
            }),
            ("PaymentReceived", {
                "payment_id": self._new(f"{account_id}-PAY"), "amount_fen": amount,
                "value_date": self.chance.choice((later, day.isoformat())), "method": "bank",
            }),
            ("PaymentReversed", {"payment_id": payment, "reason": "bounced"}),
            ("PaymentAllocated", {"payment_id": payment, "charge_id": charge, "amount_fen": amount}),
            ("ChargeReversed", {"charge_id": charge, "amount_fen": amount, "reason": "wrong"}),
            ("LateFeeAssessed", {
                "fee_id": self._new(f"{account_id}-LF"), "charge_id": charge, "base_fen": amount,
                "rate_ppm": 3_000, "from": day.isoformat(), "to": (day + timedelta(days=10)).isoformat(),
                "amount_fen": amount * 30_000 // 1_000_000,
            }),
            ("CreditGranted", {
                "credit_id": self._new(f"{account_id}-CR"), "amount_fen": amount, "reason": "goodwill"
            }),
            ("RefundPaid", {"amount_fen": amount, "method": "bank"}),
            ("ServiceSuspended", {"reason": "arrears"}),
            ("ServiceResumed", {"reason": "paid"}),
            ("DisputeHoldPlaced", {
                "hold_id": self._new(f"{account_id}-H"), "amount_fen": amount, "case_id": "K9",
                "scope": ["suspension"],
            }),
            ("DisputeHoldReleased", {"hold_id": hold, "outcome": "rejected"}),
            ("NoticeAttempted", {
                "notice_id": self._new(f"{account_id}-NT"), "purpose": "arrears", "channel": "letter",
                "attempt_no": 1,
            }),
            ("NoticeDelivered", {"notice_id": notice}),
        ))  # fmt: skip
        return self._line(f"account/{account_id}", kind, data, now)

    def _line(self, subject: str, kind: str, data: dict, now: datetime) -> bytes:
        """Return a line of the interchange format: when it happened, and when the legacy system knew it."""
        opening = kind == "AccountOpened"
        days = BACK_DAYS_MAX if opening else self.chance.randint(0, BACK_DAYS_MAX)
        ago = timedelta(days=days, microseconds=-self.chance.randint(0, 10**9))
        time = now - timedelta(seconds=1) - max(ago, timedelta())
        late = self.chance.random() * (now - time) * self.chance.choice((0, 0, 1))
        return orjson.dumps({
            "specversion": "1.0", "id": self._new("event"), "source": LEGACY, "type": kind, "subject": subject,
            "time": time.isoformat(), "recordedtime": (time + late).isoformat(), "actor": "system/legacy",
            "channel": "system", "region": REGION, "dataversion": 1, "data": data,
        })  # fmt: skip
