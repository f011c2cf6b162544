"""What a page shows, in one language: the dossier's parts as plain texts, numbers and rows for the template."""
# ruff: noqa: RUF001 - Chinese is written with Chinese punctuation; a sentence stands on one line

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from markupsafe import Markup

from api.dossier.bundle import used_versions
from api.dossier.composing import Dossier, Numbered
from api.dossier.money import AccountMoney, Line, money_of
from api.dossier.pictures import Captions, Mark, Point, picture
from api.dossier.topics import CORRECTED_BY_PROPOSAL, DONE_LATE, TERMS, TOPICS
from api.wording import (
    RULES,
    Lang,
    Telling,
    citation_text,
    difference_text,
    name_of,
    observed_texts,
    proposal,
    said,
    undetermined_text,
    yuan,
)
from domain.calendar import zone_of
from domain.events import case as cv
from domain.events import party as pv
from domain.events.envelope import kind_of
from domain.events.fields import REGISTRY, parse_day

ROWS_MAX = 2_000  # events printed: some 100 pages; all of them stand in the bundle
REFERENCES_MAX = 40  # event numbers printed behind one finding
OBSERVED_MAX = 24  # things one finding observed, printed one by one
RECORD_MAX_CHARS = 2_000  # of the program's own record of one finding
ACTORS_MAX = 60  # members of staff named
LINES_MAX = 400  # charges and fees of one account, printed one by one
BREACHES_ROOMY = 9  # as many as a first page holds in its usual type
NAMES_MAX = 6  # subjects named in a sentence before they are counted
MILESTONES_MAX = 14
REPEATED = frozenset({"NumberActivated", "SignUpRefused"})
MILESTONES = REPEATED | {
    "PackageSubscribed",
    "AccountMigrated",
    "AccountTransferred",
    "BlacklistEntryAdded",
    "BlacklistEntryRemoved",
    "CancellationRequested",
    "ComplaintAnswered",
    "ComplaintReceived",
    "DisputeHoldPlaced",
    "IdentityMisuseConfirmed",
    "PackageConverted",
    "PackageRenewed",
    "ServiceResumed",
    "ServiceSuspended",
    "ServiceTerminated",
}
"""What a summary names of what happened."""


@dataclass(frozen=True, slots=True)
class Breach:
    """A rule that was broken, on every subject it was found on."""

    number: str
    rule_id: str
    title: str
    required: str
    remedy: str
    citations: Sequence[str]
    amount_fen: int
    summary: str
    found: Sequence["Found"]
    done: bool
    """What the rule asks for has been done since, too late."""


@dataclass(frozen=True, slots=True)
class Found:
    """One finding as it is read."""

    subject: str
    observed: Sequence[str]
    record: str
    references: Sequence[int]
    more_references: int
    absent: Sequence[str]
    amount_fen: int
    title: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """An event as the timeline shows it."""

    number: int
    when: str
    subject: str
    text: str
    by: str
    event_id: str
    known: str
    assumed: bool
    findings: Sequence[str]


class View(Telling):
    """One language's reading of a dossier."""

    def __init__(self, dossier: Dossier, lang: Lang, manifest_digest: str) -> None:
        super().__init__(lang, dossier.region)
        self.dossier, self.manifest_digest = dossier, manifest_digest

    # -- small things

    def subjects(self, found: Iterable[str]) -> str:
        """Return subjects by kind, with their ids, counted where they are many."""
        by_kind: dict[str, list[str]] = {}
        for subject in found:
            by_kind.setdefault(kind_of(subject), []).append(subject.partition("/")[2])
        texts = []
        for kind, ids in by_kind.items():
            name = self.label("stream", kind)
            if len(ids) == 1:
                texts.append(f"{name} {ids[0]}")
            elif len(ids) <= NAMES_MAX:
                texts.append(self.t(f"{name} {self.listed(ids)}", f"{name}s {self.listed(ids)}"))
            else:
                some = self.listed(ids[:NAMES_MAX])
                texts.append(self.t(f"{name} {some}等 {len(ids)} 个", f"{len(ids)} {name}s ({some}, …)"))
        text = self.listed(texts)
        return text[:1].upper() + text[1:]

    # -- the head

    @property
    def title(self) -> str:
        """The dossier's title."""
        return self.t("争议卷宗：", "Dossier: ") + self.subject(self.dossier.subject)

    @property
    def known_day(self) -> str:
        """The day of the known-at instant, in words."""
        return self.day(self.dossier.until)

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
    def milestones(self) -> list[str]:
        """The story in a few words: what changed the customer's position, runs of one kind as one."""
        runs: list[list[Numbered]] = []
        for item in self.dossier.events:
            event = item.recorded.event
            if event.type not in MILESTONES:
                continue
            last = runs[-1][-1].recorded.event.type if runs else None
            if event.type == last and event.type in REPEATED:
                runs[-1].append(item)
            else:
                runs.append([item])
        half = MILESTONES_MAX // 2
        some = runs if len(runs) <= MILESTONES_MAX else [*runs[:half], *runs[-half:]]
        return [self._milestone(run) for run in some]

    def _milestone(self, run: list[Numbered]) -> str:
        first, last = run[0].recorded.event, run[-1].recorded.event
        days = dict.fromkeys(e.time.astimezone(zone_of(e.region)).date() for e in (first, last))
        when = "–".join(f"{d:%Y-%m-%d}" for d in days)
        times = f" ×{len(run)}" if len(run) > 1 else ""
        about = f" {first.stream_id}" if kind_of(first.subject) == "account" and not times else ""
        numbers = ranges([i.number for i in run])
        return f"{when} {name_of(first.type, self.lang)}{times}{about} [{numbers}]"

    # -- money

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

    def number(self, reference: str) -> int | None:
        """Return the number of the event a reference names."""
        return self.dossier.number_of(reference)

    # -- findings

    @cached_property
    def breaches(self) -> list[Breach]:
        """The rules that were broken, in the order in which a dispute unfolds."""
        by_rule: dict[str, list[dict[str, Any]]] = {}
        for finding in self.dossier.of_verdict("breach"):
            by_rule.setdefault(finding["rule_id"], []).append(finding)
        order = [rule_id for _, rules in TOPICS for rule_id in rules]
        ordered = sorted(by_rule, key=lambda r: order.index(r) if r in order else len(order))
        return [self._breach(number, r, by_rule[r]) for number, r in enumerate(ordered, 1)]

    def _breach(self, number: int, rule_id: str, found: list[dict[str, Any]]) -> Breach:
        words = RULES.get(rule_id)
        found = sorted(found, key=self._first)
        done = rule_id in DONE_LATE and not any(f["absent_event_types"] for f in found)
        amount_fen = sum(f["amount_fen"] for f in found)
        where = self.subjects(f["subject"] for f in found)
        title = words.title.of(self.lang) if words else rule_id
        summary = words.broken.of(self.lang) if words else "{where}: " + title
        return Breach(
            number=self.t(f"认定{number}", f"F{number}"),
            rule_id=rule_id,
            title=title,
            required=words.required.of(self.lang) if words else found[0]["required"],
            remedy=self._remedy(rule_id, found, done=done),
            citations=self._citations(rule_id, found),
            amount_fen=amount_fen,
            summary=summary.format(where=where, amount=yuan(amount_fen)),
            found=[self._found(f) for f in found],
            done=done,
        )

    def _first(self, finding: dict[str, Any]) -> int:
        """Return the number of the first event that shows a finding, beyond all where none does."""
        numbers = (self.number(e) for e in finding["evidence_event_ids"])
        return min((n for n in numbers if n is not None), default=len(self.dossier.events) + 1)

    def _remedy(self, rule_id: str, found: list[dict[str, Any]], *, done: bool) -> str:
        if done:
            return self.t(
                "已补做，但逾期；无须再补。", "It has been done since, too late; nothing remains to be done."
            )
        words = RULES.get(rule_id)
        return words.remedy.of(self.lang) if words else found[0]["remedy"]

    def _citations(self, rule_id: str, found: list[dict[str, Any]]) -> list[str]:
        versions = {v for f in found for v in f["rule_version"].split(", ")}
        return [
            citation_text(v.cited, self.lang)
            for v in self.dossier.book.versions_of(rule_id)
            if v.version in versions
        ]

    def _found(self, finding: dict[str, Any]) -> Found:
        observed = observed_texts(finding["rule_id"], finding["observed"], self.lang)
        references = [n for e in finding["evidence_event_ids"] if (n := self.number(e)) is not None]
        words = RULES.get(finding["rule_id"])
        unsaid = self.t("见下方程序原始记录（英文）。", "See the program's own record below.")
        return Found(
            subject=self.subject(finding["subject"]),
            observed=self._observed(observed) if observed is not None else [unsaid],
            record=self._record(finding["observed"]),
            references=sorted(references)[:REFERENCES_MAX],
            more_references=max(0, len(references) - REFERENCES_MAX),
            absent=[name_of(t, self.lang) if t in REGISTRY else t for t in finding["absent_event_types"]],
            amount_fen=finding["amount_fen"],
            title=words.title.of(self.lang) if words else finding["rule_id"],
        )

    def _observed(self, texts: list[str]) -> list[str]:
        some = [self._ended(text) for text in texts[:OBSERVED_MAX]]
        more = len(texts) - len(some)
        if more:
            where = "bundle/findings.json"
            some.append(self.t(f"另有 {more} 项，见 {where}。", f"And {more} more, in {where}."))
        return some

    def _record(self, text: str) -> str:
        if len(text) <= RECORD_MAX_CHARS:
            return text
        return text[:RECORD_MAX_CHARS] + " … (bundle/findings.json)"

    def _ended(self, text: str) -> str:
        return text[:1].upper() + text[1:] + self.t("。", ".")

    @property
    def topics(self) -> list[tuple[str, list[Breach]]]:
        """What was broken, by topic."""
        found = []
        placed: set[str] = set()
        for title, rules in TOPICS:
            some = [b for b in self.breaches if b.rule_id in rules]
            placed |= {b.rule_id for b in some}
            if some:
                found.append((title.of(self.lang), some))
        rest = [b for b in self.breaches if b.rule_id not in placed]
        return [*found, (self.t("其他", "Other"), rest)] if rest else found

    @property
    def open_findings(self) -> list[Found]:
        """What could not be decided."""
        return [self._found(f) for f in self.dossier.of_verdict("undetermined")]

    @property
    def open_figures(self) -> list[str]:
        """What the lawful account lacks."""
        texts = [u for p in self.dossier.parts for u in p.counterfactual["undetermined"]]
        return [self._ended(undetermined_text(u, self.lang) or u) for u in dict.fromkeys(texts)]

    @property
    def absent(self) -> list[tuple[str, list[str]]]:
        """Records that should be there and are not, with the findings that miss them."""
        found: dict[str, list[str]] = {}
        for breach in self.breaches:
            for name in dict.fromkeys(n for f in breach.found for n in f.absent):
                found.setdefault(name, []).append(breach.number)
        return list(found.items())

    @property
    def kept(self) -> list[Found]:
        """The rules that were kept."""
        return [self._found(f) for f in self.dossier.of_verdict("kept")]

    @property
    def not_applicable(self) -> int:
        """How many checks found nothing that their rule speaks of."""
        return len(self.dossier.of_verdict("not_applicable"))

    @property
    def dense(self) -> bool:
        """Whether there is so much to say that the first page takes smaller type."""
        return len(self.breaches) > BREACHES_ROOMY

    # -- what is to be put right

    @cached_property
    def proposed(self) -> list[dict[str, Any]]:
        """The correcting entries."""
        return [
            {
                "subject": self.subject(p["subject"]),
                "name": name_of(p["type"], self.lang),
                "text": proposal(p["type"], p["data"], self.lang),
                "amount_fen": p["data"].get("amount_fen"),
            }
            for part in self.dossier.parts
            for p in part.counterfactual["proposed_events"]
        ]

    @cached_property
    def corrections(self) -> list[str]:
        """The correcting entries in a sentence or two."""
        every = [p for part in self.dossier.parts for p in part.counterfactual["proposed_events"]]
        reversals = [p["data"] for p in every if p["type"] == "ChargeReversed"]
        charges = sum(1 for d in reversals if d.get("charge_id"))
        fees = len(reversals) - charges
        entries = [p["data"]["entry_id"] for p in every if p["type"] == "BlacklistEntryRemoved"]
        found = []
        if reversals:
            counted = [
                self.t(f"{count} 笔{zh}", _counted(count, en))
                for count, zh, en in ((charges, "收费", "charge"), (fees, "滞纳金", "late fee"))
                if count
            ]
            debts, sum_text = self.listed(counted), yuan(self.to_reverse_fen)
            found.append(self.t(f"冲正 {debts}，共 {sum_text}。", f"Take back {debts}, {sum_text} in all."))
        if self.to_refund_fen:
            found.append(
                self.t(
                    f"退还客户 {yuan(self.to_refund_fen)}。",
                    f"Refund {yuan(self.to_refund_fen)} to the customer.",
                )
            )
        if entries:
            ids = self.listed(dict.fromkeys(entries))
            found.append(
                self.t(
                    f"将客户移出黑名单（条目 {ids}）。", f"Take the customer off the blacklist (entry {ids})."
                )
            )
        for item in every:
            if item["type"] not in ("ChargeReversed", "RefundPaid", "BlacklistEntryRemoved"):
                what = proposal(item["type"], item["data"], self.lang)
                found.append(
                    self._ended(f"{what.rstrip('。.')}{self.t('：', ': ')}{self.subject(item['subject'])}")
                )
        return found

    @cached_property
    def duties(self) -> list[tuple[str, str]]:
        """What else puts the breaches right, each once, with the finding it answers."""
        return [
            (b.remedy, b.number)
            for b in self.breaches
            if b.rule_id not in CORRECTED_BY_PROPOSAL and not b.done
        ]

    @cached_property
    def differences(self) -> list[dict[str, Any]]:
        """What would have been otherwise, beside the charges and fees that stand in the money table."""
        found = []
        for part in self.dossier.parts:
            for item in part.counterfactual["differences"]:
                number = next((n for e in item["event_ids"] if (n := self.number(e)) is not None), None)
                event = self.dossier.events[number - 1].recorded.event if number else None
                if number is None or event is None or event.type in ("ChargePosted", "LateFeeAssessed"):
                    continue
                found.append(
                    {
                        "on": item["on"],
                        "subject": self.subject(event.subject),
                        "text": self._ended(difference_text(item["what"], self.lang) or item["what"]),
                        "number": number,
                        "why": self._why(item["rule_id"], event.subject, number),
                    }
                )
        return found

    def _why(self, rule_id: str, subject: str, number: int) -> str:
        """Return why an event would not have been: the findings it shows, or those on the charges behind it."""
        shown = self._cited.get(number)
        if shown:
            return self.t("、", ", ").join(shown)
        behind = [
            b.number
            for b in self.breaches
            if b.rule_id in (rule_id, "charge-basis", "real-name", "cancellation")
            and any(f.subject == self.subject(subject) for f in b.found)
        ]
        return self.t("、", ", ").join(behind) or self.t("依规推算", "derived by the rules")

    @property
    def assumptions(self) -> list[str]:
        """What the lawful account takes for given."""
        packages: dict[str, list[str]] = {}
        for part in self.dossier.parts:
            for name, value in part.counterfactual["assumptions"].items():
                package = name.partition(" of ")[2]
                if package:
                    packages.setdefault(value, []).append(package)
        return [self._assumption(option, names) for option, names in packages.items()]

    def _assumption(self, option: str, names: list[str]) -> str:
        packages, handling = self.listed(dict.fromkeys(names)), self.label("expiry_option", option)
        return self.t(
            f"套餐 {packages} 没有客户本人的有效选择，到期后的情况按“{handling}”推算。",
            f"As the customer's own choice for {packages} is not on record, “{handling}” is taken for the term's end.",
        )

    # -- people and accounts

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

    def _refs(self, numbers: Sequence[int]) -> str:
        """Return event numbers in brackets; of too many the first ones and how many there are."""
        if not numbers:
            return ""
        if len(numbers) <= REFERENCES_MAX:
            return f"[{ranges(numbers)}]"
        some = ranges(sorted(numbers)[:REFERENCES_MAX])
        return f"[{some}, …] " + self.t(f"（共 {len(numbers)} 条）", f"({len(numbers)} in all)")

    # -- over time

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

    @cached_property
    def rows(self) -> list[Row]:
        """The timeline's rows: all, or, of too many, the evidence and the latest of the rest."""
        events = self.dossier.events
        cited = self._cited
        if len(events) > ROWS_MAX:
            first = [i for i in events if i.number in cited][:ROWS_MAX]
            rest = [i for i in events if i.number not in cited]
            events = sorted(first + rest[len(rest) - (ROWS_MAX - len(first)) :], key=lambda i: i.number)
        return [self._row(item, cited.get(item.number, ())) for item in events]

    @property
    def left_out(self) -> int:
        """How many events the printed timeline leaves out."""
        return len(self.dossier.events) - len(self.rows)

    @cached_property
    def _cited(self) -> dict[int, list[str]]:
        found: dict[int, list[str]] = {}
        by_rule = {b.rule_id: b.number for b in self.breaches}
        for finding in self.dossier.of_verdict("breach"):
            for reference in finding["evidence_event_ids"]:
                number = self.number(reference)
                if number is not None and by_rule[finding["rule_id"]] not in found.setdefault(number, []):
                    found[number].append(by_rule[finding["rule_id"]])
        return found

    def _row(self, item: Numbered, findings: Sequence[str]) -> Row:
        told = self.event(item.recorded.event)
        return Row(
            number=item.number,
            when=told.when,
            subject=told.subject,
            text=told.text,
            by=told.by,
            event_id=told.event_id,
            known=told.known,
            assumed=told.assumed,
            findings=findings,
        )

    @property
    def assumed_rows(self) -> str:
        """The numbers of the events that no source states."""
        return ranges([r.number for r in self.rows if r.assumed])

    # -- what it was measured against

    @property
    def rules(self) -> list[dict[str, Any]]:
        """The versions of rules that were used, other than where nothing applied."""
        named = {f["rule_id"] for f in self.dossier.findings if f["verdict"] != "not_applicable"}
        return [
            {
                "title": RULES[v.rule_id].title.of(self.lang) if v.rule_id in RULES else v.rule_id,
                "rule_id": v.rule_id,
                "version": v.version,
                "since": v.since.isoformat(),
                "until": v.until.isoformat() if v.until else "",
                "citation": citation_text(v.cited, self.lang),
            }
            for v in used_versions(self.dossier)
            if v.rule_id in named
        ]

    @property
    def terms(self) -> list[tuple[str, str]]:
        """The terms and what they mean."""
        return [(term.of(self.lang), text.of(self.lang)) for term, text in TERMS]


def ranges(numbers: Sequence[int]) -> str:
    """Return numbers with runs of them shortened: of 1, 2, 3 and 7 the first three become one."""
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ", ".join(str(a) if a == b else f"{a}–{b}" if b > a + 1 else f"{a}, {b}" for a, b in runs)


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
