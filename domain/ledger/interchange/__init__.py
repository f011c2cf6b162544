"""CloudEvents in and out, a line an event (JSONL, UTF-8), in bounded memory whatever the file's length.

In: every line ends as appended, repeated or refused (or as a key, in a sealed export); what is refused goes to
the reject file with its number, field and reason, and nothing else is lost. Observed history is checked for
form, never for conduct. Out: sealed (the stored bytes, with what proves and unlocks them) or in clear.
"""

from domain.ledger.interchange.bringing import Tally
from domain.ledger.interchange.exporting import export_plain, export_sealed
from domain.ledger.interchange.importing import Importer
from domain.ledger.interchange.lines import LINE_MAX_BYTES, Refusal, lines_of, read_arrival, read_object

__all__ = [
    "LINE_MAX_BYTES",
    "Importer",
    "Refusal",
    "Tally",
    "export_plain",
    "export_sealed",
    "lines_of",
    "read_arrival",
    "read_object",
]
