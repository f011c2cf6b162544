"""What a page says of the money: account by account, charge by charge, and the balance over time as a picture."""
# ruff: noqa: RUF001 - Chinese is written with Chinese punctuation

from functools import cached_property

from markupsafe import Markup

from api.dossier.money import AccountMoney, Line, money_of
from api.dossier.pictures import Captions, Mark, Point, picture
from api.dossier.views.reading import Reading
from domain.calendar import zone_of
from domain.events import party as pv
from domain.events.fields import parse_day

LINES_MAX = 400  # charges and fees of one account, printed one by one


class MoneyView(Reading):
    """The money and the balance over time."""

    @cached_property
    def money(self) -> list[AccountMoney]:
        """Each account's money."""
        return [m for m in money_of(self.dossier) if m.moved]

    def lines(self, money: AccountMoney) -> list[Line]:
        """Return the lines printed of an account: all; of too many, those of which something is taken back first."""
        if len(money.lines) <= LINES_MAX:
            return list(money.lines)
        touched = [line for line in money.lines if line.to_reverse_fen or line.reversed_fen]
        plain = [line for line in money.lines if not (line.to_reverse_fen or line.reversed_fen)]
        kept = {id(line) for line in (touched + plain)[:LINES_MAX]}
        return [line for line in money.lines if id(line) in kept]

    def rest(self, money: AccountMoney) -> dict[str, int] | None:
        """Return the number and the sums, in fen, of the lines that are not printed; None where all are."""
        printed = {id(line) for line in self.lines(money)}
        others = [line for line in money.lines if id(line) not in printed]
        if not others:
            return None
        names = ("posted_fen", "reversed_fen", "to_reverse_fen", "lawful_fen")
        return {"count": len(others), **{n: sum(getattr(line, n) for line in others) for n in names}}

    @property
    def idle(self) -> list[str]:
        """The accounts on which no money ever stood."""
        moved = {m.subject for m in self.money}
        return [a.subject.partition("/")[2] for a in self.dossier.accounts if a.subject not in moved]

    @property
    def actual_fen(self) -> int:
        """What stands on all accounts."""
        return sum(m.actual_fen for m in self.money)

    @property
    def lawful_fen(self) -> int:
        """What should stand on all accounts."""
        return sum(m.lawful_fen for m in self.money)

    @property
    def to_reverse_fen(self) -> int:
        """What is to be reversed."""
        return sum(m.to_reverse_fen for m in self.money)

    @property
    def to_refund_fen(self) -> int:
        """What is to be refunded."""
        return sum(m.to_refund_fen for m in self.money)

    # -- over time

    @property
    def pictures(self) -> list[tuple[AccountMoney, Markup]]:
        """Each account's balance as a picture."""
        found = []
        for money in self.money:
            points = self._points(money.subject)
            if points:
                drawn = picture(
                    points, self.dossier.until, self._marks(money.subject), self._captions(money.subject)
                )
                found.append((money, Markup(drawn)))  # noqa: S704 - every word in it was escaped
        return found

    def _points(self, subject: str) -> list[Point]:
        return [
            Point(
                on=parse_day(d["on"]),
                actual_fen=d["actual"]["balance_fen"],
                lawful_fen=d["lawful"]["balance_fen"],
                actual_status=d["actual"]["status"],
                lawful_status=d["lawful"]["status"],
            )
            for part in self.dossier.parts
            for d in part.counterfactual["days"]
            if d["account"] == subject
        ]

    def _captions(self, subject: str) -> Captions:
        return Captions(
            title=self.t("余额变化：", "Balance over time: ") + self.subject(subject),
            actual=self.t("实际余额（实线）", "actual (solid)"),
            lawful=self.t("依规应有余额（虚线）", "lawful (dashed)"),
            status_actual=self.t("实际状态", "actual"),
            status_lawful=self.t("依规状态", "lawful"),
        )

    def _marks(self, subject: str) -> list[Mark]:
        account_id = subject.partition("/")[2]
        found = []
        entries: set[str] = set()
        for item in self.dossier.events:
            data, event = item.recorded.event.data, item.recorded.event
            on = event.time.astimezone(zone_of(event.region)).date()
            if isinstance(data, pv.BlacklistEntryAdded) and data.basis_account_id == account_id:
                entries.add(data.entry_id)
                found.append(Mark(on, self.t("列入黑名单", "blacklisted") + f" [{item.number}]"))
            elif isinstance(data, pv.BlacklistEntryRemoved) and data.entry_id in entries:
                found.append(Mark(on, self.t("移出黑名单", "taken off") + f" [{item.number}]"))
        return found
