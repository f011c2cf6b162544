"""What a page says of putting it right: the correcting entries, what else is to be done, and what would have been."""
# ruff: noqa: RUF001 - Chinese is written with Chinese punctuation; a sentence stands on one line

from functools import cached_property
from typing import Any

from api.dossier.topics import CORRECTED_BY_PROPOSAL
from api.dossier.views.findings import FindingsView
from api.dossier.views.money import MoneyView
from api.wording import difference_text, name_of, proposal, yuan


class RemedyView(FindingsView, MoneyView):
    """What is to be put right, of the money and of the findings."""

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


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
