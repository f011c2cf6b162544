"""A population, party by party, into files: no more of it is in memory than one party."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

from api.population.breaches import Round, plant
from api.population.chronicle import Chronicle
from api.population.conditions import HOME, Conditions
from api.population.files import EVENTS_PER_FILE, EventFiles, TruthFile
from api.population.living import Setting, accounts_of, live
from api.population.registrations import authorise
from api.population.years import Chance, Years

PARTIES_OF_A_DEALER = 100
CITIES = (
    ("harbin", "哈尔滨"),
    ("qiqihar", "齐齐哈尔"),
    ("daqing", "大庆"),
    ("mudanjiang", "牡丹江"),
    ("jiamusi", "佳木斯"),
)


def generate(
    conditions: Conditions,
    folder: Path,
    progress: Callable[[int, int], None] = lambda _accounts, _events: None,
    events_per_file: int = EVENTS_PER_FILE,
) -> dict[str, Any]:
    """Write a population's events and the truth about them into an empty folder; return what was counted.

    `progress` is told after every party how many accounts and events there are.
    """
    years = Years(conditions.first, conditions.years)
    source = f"urn:recount:population:{conditions.seed}"
    files = EventFiles(folder, events_per_file)
    truth = TruthFile(folder, conditions.as_data())
    rounds = Round(years)
    accounts = parties = 0
    while accounts < conditions.accounts:
        if parties % PARTIES_OF_A_DEALER == 0:
            setting = _setting(conditions, years, source, parties // PARTIES_OF_A_DEALER)
            chronicle = Chronicle(setting.dealer_id, source, setting.region, years)
            authorise(chronicle, setting.dealer_id, f"M{setting.dealer_id[1:]}", 0)
            files.write(chronicle.events)
        parties += 1
        count = min(accounts_of(parties, conditions.seed), conditions.accounts - accounts)
        planted = _is_planted(parties, conditions.breaches)
        chance = Chance(f"{conditions.seed}/{parties}/breach")
        kind, wish = rounds.next(chance) if planted else (None, None)
        life = live(parties, count, setting, wish)
        breach = plant(kind, life, chance) if kind is not None else None
        files.write(life.chronicle.in_order())
        if breach is not None:
            truth.add({**breach, "file": files.name})
        accounts += count
        progress(accounts, files.events)
    files.close()
    counts = {
        "accounts": accounts,
        "parties": parties,
        "events": files.events,
        "events_by_type": dict(files.by_type),
        "files": files.files,
        "planted": truth.by_rule.total(),
        "planted_by_rule": dict(truth.by_rule),
    }
    truth.finish(counts)
    return counts


def _is_planted(party: int, share: Fraction) -> bool:
    """Whether a party gets a breach: of the first n parties as many have one as the share says, to the one."""
    return party * share // 1 > (party - 1) * share // 1


def _setting(conditions: Conditions, years: Years, source: str, block: int) -> Setting:
    """Return what a block of parties shares: a city, and the dealer there."""
    name, city = CITIES[block % len(CITIES)]
    region = f"{HOME}.{name}"
    if conditions.region != HOME:
        region, city = conditions.region, "本"
    return Setting(years, source, conditions.seed, region, city, f"DS{conditions.seed}-{block + 1}")
