"""What the product says to people, in Chinese and English: one place, whoever says it.

`language` writes money, days and lists; `labels` names every value of the vocabulary's enumerations; `events`
makes a plain sentence of every event type; `rules` says what each rule asks for and what puts a breach right;
`observations` says what was observed. Nothing here knows who reads it, or where it is printed.
"""

from api.wording.events import name_of, proposal, sentence
from api.wording.labels import label, said
from api.wording.language import LANGUAGES, Lang, Words, day_text, instant_text, listed, yuan
from api.wording.observations import difference_text, observed_texts, undetermined_text
from api.wording.rules import RULES, citation_text
from api.wording.states import FIELDS, Change, changes, value_text
from api.wording.telling import Telling, Told

__all__ = [
    "FIELDS",
    "LANGUAGES",
    "RULES",
    "Change",
    "Lang",
    "Telling",
    "Told",
    "Words",
    "changes",
    "citation_text",
    "day_text",
    "difference_text",
    "instant_text",
    "label",
    "listed",
    "name_of",
    "observed_texts",
    "proposal",
    "said",
    "sentence",
    "undetermined_text",
    "value_text",
    "yuan",
]
