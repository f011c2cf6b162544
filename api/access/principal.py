"""Who asks, what they may do, and where: what is left of a token once it was verified.

Nothing here knows tokens, keys or HTTP.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from domain.events.envelope import ACTOR_KINDS, check_region
from domain.events.fields import REFERENCE_MAX_CHARS, MalformedError
from domain.ledger.sight import EVERYWHERE, Sight

CRM_WRITE = "crm:write"
BILLING_READ = "billing:read"
INVESTIGATE_READ = "investigate:read"
INVESTIGATE_DECIDE = "investigate:decide"
ADMIN = "admin"
SCOPES: dict[str, str] = {
    CRM_WRITE: "ask commands, and see the state of the stream they are asked of",
    BILLING_READ: "what accounts owe: status, statements, aging, dunning, changes",
    INVESTIGATE_READ: "histories, findings, registers, reports and feeds; disclosing personal data for a purpose",
    INVESTIGATE_DECIDE: "propose and accept remedies, record findings, impose penalties",
    ADMIN: "publish rules, and erase personal data",
}
"""Every scope and what it is for. None implies another."""
REGIONS_MAX = 100  # China has some 340 prefectures: who has more of them has provinces
ANYBODY = "*"

_SUBJECT = re.compile(r"[^\s\x00-\x1f\x7f]+\Z")


@dataclass(frozen=True, slots=True)
class Principal:
    """A person or system that was let in.

    `subject` is the actor they are (`staff/S-90`), `acts_for` the kinds of other actors they may name: a shop's
    system acts for customers. Without regions they see nothing.
    """

    subject: str
    scopes: frozenset[str]
    regions: tuple[str, ...]
    acts_for: frozenset[str] = frozenset()

    @property
    def sight(self) -> Sight:
        """What they may see."""
        return Sight(self.regions)

    @property
    def is_system(self) -> bool:
        """Whether it is a program, which may ask more often than a person."""
        return self.subject.startswith("system/")

    def may(self, *scopes: str) -> bool:
        """Whether they have one of the scopes."""
        return not self.scopes.isdisjoint(scopes)

    def covers(self, region: str) -> bool:
        """Whether all of a region is theirs."""
        return self.sight.covers(region)

    def may_act_as(self, actor: str) -> bool:
        """Whether an event may say that this actor did it."""
        kind = actor.partition("/")[0]
        return actor == self.subject or kind in self.acts_for or ANYBODY in self.acts_for


def principal_of(
    subject: str, scopes: Iterable[str], regions: Iterable[str], acts_for: Iterable[str] = ()
) -> Principal:
    """Return a principal of checked parts; scopes nobody knows are left out. Raises ValueError.

    A subject that is no actor yet is a member of staff: issuers know people by names of their own.
    """
    actor = subject if subject.partition("/")[0] in ACTOR_KINDS and "/" in subject else f"staff/{subject}"
    if len(actor) > REFERENCE_MAX_CHARS or not _SUBJECT.match(actor) or actor.endswith("/"):
        raise ValueError("the subject should be an id without white space, or kind/ID")
    named = tuple(dict.fromkeys(regions))
    if len(named) > REGIONS_MAX:
        raise ValueError(f"the regions should be at most {REGIONS_MAX}")
    for region in named:
        try:
            if region != EVERYWHERE:
                check_region(region)
        except MalformedError:
            raise ValueError("the regions should be provinces or cities, as heilongjiang.harbin") from None
    kinds = frozenset(acts_for)
    if kinds - ACTOR_KINDS - {ANYBODY}:
        raise ValueError("acts_for should be kinds of actors")
    return Principal(actor, frozenset(scopes) & SCOPES.keys(), named, kinds)
