"""What every part of a page needs of a dossier: its events by number, subjects and references in words."""
# ruff: noqa: RUF001 - Chinese is written with Chinese punctuation

from collections.abc import Iterable, Sequence

from api.dossier.composing import Dossier
from api.wording import Lang, Telling
from domain.events.envelope import kind_of

REFERENCES_MAX = 40  # event numbers printed behind one finding
NAMES_MAX = 6  # subjects named in a sentence before they are counted


class Reading(Telling):
    """One language's reading of a dossier."""

    def __init__(self, dossier: Dossier, lang: Lang, manifest_digest: str) -> None:
        super().__init__(lang, dossier.region)
        self.dossier, self.manifest_digest = dossier, manifest_digest

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

    def number(self, reference: str) -> int | None:
        """Return the number of the event a reference names."""
        return self.dossier.number_of(reference)

    def _refs(self, numbers: Sequence[int]) -> str:
        """Return event numbers in brackets; of too many the first ones and how many there are."""
        if not numbers:
            return ""
        if len(numbers) <= REFERENCES_MAX:
            return f"[{ranges(numbers)}]"
        some = ranges(sorted(numbers)[:REFERENCES_MAX])
        return f"[{some}, …] " + self.t(f"（共 {len(numbers)} 条）", f"({len(numbers)} in all)")

    def _ended(self, text: str) -> str:
        return text[:1].upper() + text[1:] + self.t("。", ".")


def ranges(numbers: Sequence[int]) -> str:
    """Return numbers with runs of them shortened: of 1, 2, 3 and 7 the first three become one."""
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ", ".join(str(a) if a == b else f"{a}–{b}" if b > a + 1 else f"{a}, {b}" for a, b in runs)
