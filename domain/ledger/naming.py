"""New ids, as random as uuid4's: 16 bytes in hexadecimal.

The kernel is asked for many at once. Each call to it lets go of the interpreter, and where another thread writes
batches, getting it back takes longer than all else in a command's way here.
"""

import os
from threading import Lock

_BYTES = 16
_AT_ONCE = 256
_left: list[str] = []
_refilling = Lock()


def new_id() -> str:
    """Return an id that nobody has had."""
    try:
        return _left.pop()
    except IndexError:
        with _refilling:
            made = os.urandom(_BYTES * _AT_ONCE).hex()
            width = 2 * _BYTES
            _left.extend(made[at : at + width] for at in range(width, len(made), width))
            return made[:width]


os.register_at_fork(after_in_child=_left.clear)  # a child would give the same ones
