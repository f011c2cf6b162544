"""accept: what a counterfactual proposes, put into effect."""

import argparse

from api.commands.adding import Add
from api.commands.history import assumptions
from api.remedies import accept
from api.runtime import opened
from api.settings import Settings
from api.terminal import CommandError, Terminal, acceptance_lines
from domain.ledger.writer import BusyError
from domain.refusals import Refused
from domain.remedies import acceptance_of


def register(add: Add) -> None:
    """Add the command to the command line."""
    asked = add("accept", accepting, "put right what a counterfactual proposes, under a case")
    asked.add_argument("subject", metavar="SUBJECT", help="account/ID or party/ID")
    asked.add_argument(
        "--case", metavar="ID", required=True, help="the complaint or investigation it belongs to"
    )
    asked.add_argument("--by", metavar="staff/ID", required=True, help="who accepts it")
    asked.add_argument(
        "--proposed-by", metavar="staff/ID", required=True, help="who read and proposed it: somebody else"
    )
    asked.add_argument(
        "--position", type=int, metavar="N", required=True, help="as the counterfactual said it"
    )
    asked.add_argument(
        "--digest", metavar="D", required=True, help="the proposal, as the counterfactual said it"
    )
    asked.add_argument("--until", metavar="DAY", help="as the counterfactual was asked; today else")
    asked.add_argument("--assume", metavar="K=V", action="append", default=[], help="as it was asked")
    asked.add_argument("--known-at", metavar="T", help="as it was asked")
    asked.add_argument("--refund-method", metavar="M", help="how money is paid back, where it is")
    asked.add_argument(
        "--channel", metavar="C", default="system", help="through which it is decided; system else"
    )
    asked.add_argument("--evidence", metavar="REF", help="a document: the decision, a minute")


def accepting(given: argparse.Namespace, settings: Settings, terminal: Terminal) -> int:
    """Accept a proposal that was read, all of it or nothing."""
    acceptance = acceptance_of(
        {
            "case_id": given.case,
            "position": given.position,
            "proposal_digest": given.digest,
            "until": given.until,
            "assumptions": assumptions(given.assume),
            "known_at": given.known_at,
            "accepted_by": given.by,
            "proposed_by": given.proposed_by,
            "channel": given.channel,
            "refund_method": given.refund_method,
            "evidenceref": given.evidence,
        }
    )
    with opened(settings, terminal.say) as runtime:
        try:
            answer = accept(runtime, given.subject, acceptance, given.region)
        except Refused as refused:
            raise CommandError(f"{refused.message} ({refused.code})") from None
        except BusyError as error:
            raise CommandError(str(error)) from None
    document = {"subject": given.subject, **answer.body, "repeated": answer.repeated}
    terminal.answer(document, acceptance_lines(document))
    return 0
