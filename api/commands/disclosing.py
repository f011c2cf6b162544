"""disclose: personal data in clear, for a purpose and under a case."""

import argparse
import uuid

from pydantic import TypeAdapter, ValidationError

from api.commands.adding import Add
from api.disclosing import KINDS, Asking, Disclosure, disclose
from api.runtime import opened
from api.settings import Settings
from api.terminal import CommandError, Terminal, disclosure_lines
from domain.events.envelope import check_subject, kind_of
from domain.events.fields import MalformedError, problems_of
from domain.ledger.writer import BusyError
from domain.refusals import Refused


def register(add: Add) -> None:
    """Add the command to the command line."""
    asked = add("disclose", disclosing, "personal data in clear, for a purpose; recorded before it is shown")
    asked.add_argument("subject", metavar="SUBJECT", help="party/ID")
    asked.add_argument("--field", action="append", required=True, choices=KINDS, help="what has to be seen")
    asked.add_argument("--purpose", metavar="TEXT", required=True, help="what for: it stands in the log")
    asked.add_argument("--case", metavar="ID", required=True, help="an open case of the person's")
    asked.add_argument("--by", metavar="staff/ID", required=True, help="who sees it")


def disclosing(given: argparse.Namespace, settings: Settings, terminal: Terminal) -> int:
    """Record that somebody sees personal data, and show it."""
    if kind_of(check_subject(given.subject)) != "party":
        raise MalformedError("SUBJECT", "should be party/ID: personal data is a person's")
    if not given.by.startswith("staff/") or any(c.isspace() for c in given.by) or given.by == "staff/":
        raise MalformedError("--by", "should be staff/ID: a person answers for it")
    try:
        wanted = TypeAdapter(Disclosure).validate_python(
            {"fields": given.field, "purpose": given.purpose, "case_id": given.case}
        )
    except ValidationError as error:
        problem = problems_of(error)[0]
        raise MalformedError(problem.field, problem.reason) from None
    party_id = given.subject.partition("/")[2]
    with opened(settings, terminal.say) as runtime:
        try:
            asking = Asking(given.by, uuid.uuid4().hex, "system")
            found, _ = disclose(runtime, party_id, wanted, asking, given.region)
        except Refused as refused:
            raise CommandError(f"{refused.message} ({refused.code})") from None
        except BusyError as error:
            raise CommandError(str(error)) from None
    document = {"subject": given.subject, **found}
    terminal.answer(document, disclosure_lines(document))
    return 0
