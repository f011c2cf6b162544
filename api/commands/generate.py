"""generate: a made population, lawful but for the breaches that are planted in it."""

import argparse
import time
from datetime import date
from fractions import Fraction
from pathlib import Path

from api.commands.adding import Add
from api.population.conditions import ACCOUNTS_MAX, FIRST_DAY, HOME, YEARS_MAX, Conditions
from api.population.files import TRUTH
from api.population.generating import generate
from api.settings import Settings
from api.terminal import CommandError, Terminal
from domain.events.fields import MalformedError, parse_day


def register(add: Add) -> None:
    """Add the command to the command line."""
    asked = add(
        "generate", write_population, "a made population: lawful lives, and breaches planted on purpose"
    )
    asked.add_argument("--accounts", type=int, required=True, metavar="N", help=f"up to {ACCOUNTS_MAX:,}")
    asked.add_argument(
        "--years", type=int, required=True, metavar="Y", help=f"how long they live, up to {YEARS_MAX}"
    )
    asked.add_argument("--out", type=Path, required=True, metavar="DIR", help="a folder that is new or empty")
    asked.add_argument("--seed", type=int, default=1, metavar="S", help="the same seed gives the same bytes")
    asked.add_argument(
        "--breaches",
        default="0",
        metavar="R",
        help="the share of the parties, from 0 to 1, that get one breach each, going round over all rules",
    )
    asked.add_argument(
        "--from",
        dest="first",
        default=FIRST_DAY.isoformat(),
        metavar="DATE",
        help="the first day, %(default)s",
    )


def write_population(given: argparse.Namespace, _settings: Settings, terminal: Terminal) -> int:
    """Write events-0001.jsonl and so on, as `import` takes them, and truth.json: what is planted in them."""
    conditions = Conditions(
        accounts=given.accounts,
        years=given.years,
        seed=given.seed,
        breaches=_share(given.breaches),
        first=_day(given.first),
        region=given.region or HOME,
    )
    if given.out.exists() and (not given.out.is_dir() or any(given.out.iterdir())):
        raise CommandError(f"{given.out}: should be a folder that is new or empty")
    given.out.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()

    def show(accounts: int, events: int) -> None:
        rate = events / max(time.monotonic() - began, 0.001)
        terminal.progress(
            f"{accounts:,} of {conditions.accounts:,} accounts, {events:,} events, {rate:,.0f}/s"
        )

    counts = generate(conditions, given.out, show)
    made = f"{counts['events']:,} events of {counts['accounts']:,} accounts in {counts['files']:,} files in {given.out}"
    planted = f"{counts['planted']:,} breaches planted, each told in {given.out / TRUTH}"
    terminal.answer({"conditions": conditions.as_data(), **counts, "out": str(given.out)}, [made, planted])
    return 0


def _share(text: str) -> Fraction:
    """Return a share as it was written: 0.02 is two in a hundred, to the party."""
    try:
        return Fraction(text)
    except (ValueError, ZeroDivisionError):
        raise MalformedError("--breaches", "should be a share of the parties, from 0 to 1, as 0.02") from None


def _day(text: str) -> date:
    try:
        return parse_day(text)
    except ValueError as error:
        raise MalformedError("--from", str(error)) from None
