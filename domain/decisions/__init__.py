"""Decisions: what a command leads to, or why it is refused. Pure: time is an argument, states are given.

`needs` says which streams a decision rests on, and is asked again with what was loaded until it names nothing
new; `decide` then answers with the events to append, or raises Refused. How their checks are ordered stands
in `hearing`; the rules themselves stand in one module per stream.
"""

from datetime import datetime

from domain.account import Account
from domain.commands.asking import Asked, Draft
from domain.decisions import (
    account,
    case,
    dealer,
    dunning,
    erasure,
    money,
    packages,
    party,
    rulebook,
    service,
)
from domain.decisions.hearing import (
    RULINGS,
    Hearing,
    States,
    acting_dealers,
    check_authority,
    check_existence,
    check_standing,
    check_time,
    check_unused,
    named,
    owner,
)
from domain.refusals import Code, Refused

__all__ = ["RULINGS", "Asked", "Code", "Draft", "Refused", "States", "decide", "is_wide", "needs"]

_MODULES = (
    account,
    case,
    dealer,
    dunning,
    erasure,
    money,
    packages,
    party,
    rulebook,
    service,
)  # importing registers them


def needs(asked: Asked, states: States) -> set[str]:
    """Return the subjects whose states `decide` will need, as far as the loaded ones tell.

    The caller loads what is new and asks again until nothing is.
    """
    found = {asked.subject, *named(asked.command), *acting_dealers(asked)}
    own = states.get(asked.subject)
    if own is None:
        return found
    if isinstance(own, Account) and own.opened and asked.actor.startswith("customer/"):
        found.update(Hearing(asked, states).person_subjects(own.party_id))
    keeper = owner(asked, own)
    if keeper is not None:
        found.add(keeper)
    ruling = RULINGS[type(asked.command)]
    if ruling.needs is not None:
        found.update(ruling.needs(Hearing(asked, states), own, asked.command))
    return found


def is_wide(asked: Asked) -> bool:
    """Whether the decision rests on all accounts and cases that speak of the party addressed, which links tell."""
    return RULINGS[type(asked.command)].wide


def decide(asked: Asked, states: States, now: datetime | None = None) -> tuple[Draft, ...]:
    """Return the events that the command leads to; raises Refused, with a stable code, where it may not.

    `now` is when it is decided: with it, what the operator does can't be dated back. Raises KeyError where a state
    is missing that `needs` names.
    """
    hearing = Hearing(asked, states, now)
    ruling = RULINGS[type(asked.command)]
    check_existence(hearing, ruling)
    check_unused(hearing, ruling)
    check_standing(hearing, ruling)
    check_authority(hearing)
    check_time(hearing)
    data = ruling.decide(hearing, states[asked.subject], asked.command)
    return (Draft(asked.subject, data),)
