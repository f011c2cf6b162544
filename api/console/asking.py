"""What pages about a dispute are asked with, the same wherever one goes from one to the next."""

from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import Depends, Path, Query

from api.console.shell import Page
from api.dossier import Dossier, compose
from api.investigations.asking import MOMENT_MAX_CHARS
from domain.events.fields import Identifier
from domain.ledger.recorder import POSITION_MAX

Named = Annotated[Identifier, Path(alias="id")]
Position = Annotated[int | None, Query(ge=0, le=POSITION_MAX)]
Day = Annotated[str, Query(max_length=MOMENT_MAX_CHARS)]
"""A day or a moment; an empty one, as a form sends it, is not given."""


@dataclass(frozen=True, slots=True)
class Dispute:
    """A dispute at one moment: whose it is, as known when, under which assumption, at which position of the log."""

    subject: str
    known_at: str
    expiry_option: str
    position: int | None

    @property
    def asked(self) -> dict[str, str | int | None]:
        """The query by which another page is asked about the same."""
        return {"known_at": self.known_at, "expiry_option": self.expiry_option, "position": self.position}

    def composed(self, page: Page) -> Dossier:
        """Return all that is known of it; raises SubjectError, TooWideError and MalformedError."""
        found = compose(
            page.runtime,
            self.subject,
            known_at=self.known_at or None,
            position=self.position,
            region=page.ledger_region,
            assume={"expiry_option": self.expiry_option} if self.expiry_option else {},
        )
        page.region = found.region
        return found


async def _dispute(
    *,
    kind: Annotated[Literal["party", "account", "case"], Path()],
    identifier: Named,
    known_at: Day = "",
    expiry_option: Day = "",
    position: Position = None,
) -> Dispute:
    return Dispute(f"{kind}/{identifier}", known_at, expiry_option, position)


Disputed = Annotated[Dispute, Depends(_dispute)]
