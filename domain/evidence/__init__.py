"""Evidence: what makes a history provable to somebody who trusts neither the operator nor this software.

`merkle` is a log by RFC 6962, `headmap` a map of streams to their last events, `records` what one seal says and the
signed note (C2SP) it is published as. Nothing here reads, writes, signs or knows the time: `domain.ledger.seals`
keeps seals, `domain.ledger.signing` has the keys.

A seal is made of both: the map's root says where every stream ended, a record says so with its position and time, the
log of all records has a root, and that root is what the checkpoint signs. So a checkpoint is an ordinary one, which
any witness of transparency logs can hold against the one before it.
"""


class EvidenceError(ValueError):
    """Something is not the evidence it should be: one line that says what is wrong."""
