"""What a page says of people and accounts: the customers, where they stand, and everybody else with a part in it."""
# ruff: noqa: RUF001 - Chinese is written with Chinese punctuation

from functools import cached_property
from typing import Any

from api.dossier.money import AccountMoney
from api.dossier.views.money import MoneyView
from api.wording import said, yuan
from domain.events import case as cv
from domain.events import party as pv
from domain.events.envelope import kind_of

ACTORS_MAX = 60  # members of staff named


class PeopleView(MoneyView):
    """The people and the accounts; of an account with what stands on it."""

    @property
    def who(self) -> list[str]:
        """The customers in a sentence each."""
        return [self._who(s) for s in self.dossier.parties]

    def _who(self, subject: str) -> str:
        state = self.dossier.replays[subject]["state"]
        registered = self.dossier.world.parties[subject].of(pv.PartyRegistered)
        kind = self.label("party_kind", state["kind"]) if state["kind"] else self.t("客户", "customer")
        since = self.day(self.dossier.world.parties[subject].day(registered[0][0])) if registered else None
        accounts = [a["line_of_business"] for a in state["accounts"]]
        lines = [
            self.t(f"{self.label('line_of_business', name)} {accounts.count(name)} 个",
                   f"{accounts.count(name)} {self.label('line_of_business', name)}")
            for name in dict.fromkeys(a for a in accounts if a)
        ]  # fmt: skip
        party_id = state["party_id"]
        said_since = self.t(f"，{since}登记", f", registered on {since}") if since else ""
        held = self.t(
            f"，名下账户 {len(accounts)} 个（{self.listed(lines)}）",
            f", holder of {len(accounts)} accounts ({self.listed(lines)})" if len(accounts) != 1
            else f", holder of one account ({self.listed(lines)})",
        ) if lines else ""  # fmt: skip
        name = self.t(f"{kind} {party_id}", f"Customer {party_id} ({kind})")
        return name + said_since + held + self.t("。", ".")

    @property
    def accounts(self) -> list[dict[str, Any]]:
        """The accounts as they stand and as they should."""
        money = {m.subject: m for m in self.money}
        void = {f["subject"] for f in self.dossier.of_verdict("breach") if f["rule_id"] == "real-name"}
        return [
            self._account(a.subject, money.get(a.subject), a.subject in void) for a in self.dossier.accounts
        ]

    def _account(self, subject: str, money: AccountMoney | None, void: bool) -> dict[str, Any]:  # noqa: FBT001
        account = self.dossier.world.accounts[subject]
        state = self.dossier.replays[subject]["state"]
        opened = account.day(account.history[0]) if account.history else None
        points = self._points(subject)
        line = state["line_of_business"]
        lawful = self.label("status", points[-1].lawful_status) if points else "—"
        return {
            "id": state["account_id"],
            "line": self.label("line_of_business", line) if line else "—",
            "opened": opened.isoformat() if opened else "—",
            "holder": state["party_id"] or "—",
            "package": self._package(state),
            "numbers": self.listed(n["number_id"] for n in state["numbers"]),
            "status": self.label("status", state["status"]),
            "lawful_status": self.t("不应开通", "should not exist") if void else lawful,
            "actual_fen": money.actual_fen if money else 0,
            "lawful_fen": money.lawful_fen if money else 0,
            "legacy": state["legacy"],
        }

    def _package(self, state: dict[str, Any]) -> str:
        package = state["package"]
        if package is None:
            return "—"
        cycle = self.label("cycle", package["cycle"])
        return f"{package['package_id']}{self.t('，', ', ')}{cycle}{self.t('，', ', ')}{yuan(package['price_fen'])}"

    @property
    def contact_points(self) -> list[dict[str, Any]]:
        """Where the customers could be reached, and until when."""
        return [
            {
                "party": subject.partition("/")[2],
                "id": c["contact_point_id"],
                "kind": self.label("contact_kind", c["kind"]) if c["kind"] else "—",
                "since": self.moment(c["added_at"]) if c["added_at"] else "—",
                "until": self.moment(c["invalid_since"]) if c["invalid_since"] else self.t("有效", "valid"),
                "reason": self.label("invalidation_reason", c["reason"]) if c["reason"] else "",
            }
            for subject in self.dossier.parties
            for c in self.dossier.replays[subject]["state"]["contact_points"]
        ]

    @property
    def entries(self) -> list[dict[str, Any]]:
        """The blacklist entries."""
        return [
            {
                "party": subject.partition("/")[2],
                "id": e["entry_id"],
                "account": e["basis_account_id"],
                "amount_fen": e["amount_fen"],
                "since": self.moment(e["added_at"]) if e["added_at"] else "—",
                "until": self.moment(e["removed_at"]) if e["removed_at"] else self.t("仍在", "still stands"),
            }
            for subject in self.dossier.parties
            for e in self.dossier.replays[subject]["state"]["blacklist_entries"]
        ]

    @property
    def others(self) -> list[tuple[str, str, str]]:
        """Everybody else with a part in it: dealers and cases, who was penalised, and who acted."""
        found = []
        for subject in self._told("dealer"):
            state = self.dossier.world.dealers[subject].state
            manager = self.t(f"内部责任人 {state.manager_id}", f"inside, {state.manager_id} answers for it")
            blocked = self.t("已封停", "blocked") if state.blocked_since else self.t("未封停", "not blocked")
            parts = [said(state.name, self.lang)] if state.name else []
            found.append(
                (
                    self.subject(subject),
                    self.t("，", ", ").join([*parts, *([manager] if state.manager_id else []), blocked]),
                    self._refs(sorted({*self._by_actor.get(subject, ()), *self._by_subject[subject]})),
                )
            )
        found += [
            (self.subject(s), self._case(s), self._refs(self._by_subject[s])) for s in self._told("case")
        ]
        actors = [a for a in self._by_actor if a.startswith(("staff/", "regulator/"))]
        found += [(self.actor(a), self._acted(a), self._refs(self._by_actor[a])) for a in actors[:ACTORS_MAX]]
        if len(actors) > ACTORS_MAX:
            more = len(actors) - ACTORS_MAX
            found.append((self.t(f"另有 {more} 名工作人员", f"{more} more of the staff"), "", ""))
        return found + [
            (name, self.t("受到处理：", "penalised: ") + self.listed(kinds), self._refs(numbers))
            for name, kinds, numbers in self._penalised()
        ]

    def _told(self, kind: str) -> list[str]:
        return [s for s in self._by_subject if kind_of(s) == kind]

    def _case(self, subject: str) -> str:
        state = self.dossier.world.cases[subject].state
        parts = []
        if state.category:
            parts.append(self.t("投诉：", "complaint: ") + said(state.category, self.lang))
        if state.answer_due_on:
            parts.append(
                self.t(
                    f"应于{self.day(state.answer_due_on)}前答复",
                    f"to be answered by {self.day(state.answer_due_on)}",
                )
            )
        if state.answered:
            parts.append(self.t("已答复：", "answered: ") + self.label("outcome", state.answered))
        if state.owner_id:
            parts.append(self.t("负责人 ", "owner ") + state.owner_id)
        else:
            parts.append(self.t("没有指定负责人", "no owner named"))
        return self.t("，", ", ").join(parts)

    def _acted(self, actor: str) -> str:
        events = (self.dossier.events[n - 1].recorded.event for n in self._by_actor[actor])
        return self.listed(self.label("channel", c) for c in dict.fromkeys(e.channel for e in events))

    def _penalised(self) -> list[tuple[str, list[str], list[int]]]:
        found: dict[str, list[tuple[str, int]]] = {}
        for item in self.dossier.events:
            data = item.recorded.event.data
            if isinstance(data, cv.PenaltyImposed):
                name = f"{self.label('penalty_subject', data.subject_kind)} {data.subject_id}"
                found.setdefault(name, []).append((self.label("penalty_kind", data.kind), item.number))
        return [
            (name, list(dict.fromkeys(k for k, _ in some)), [n for _, n in some])
            for name, some in found.items()
        ]

    @cached_property
    def _by_actor(self) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        for item in self.dossier.events:
            found.setdefault(item.recorded.event.actor, []).append(item.number)
        return found

    @cached_property
    def _by_subject(self) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        for item in self.dossier.events:
            found.setdefault(item.recorded.event.subject, []).append(item.number)
        return found
