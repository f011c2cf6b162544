"""A go-between before PostgreSQL's socket that cuts any connection at any byte, in either direction.

`tests/cutting.py` cuts the writer's line at a message that is chosen; this one takes what comes.
"""

import contextlib
import random
import select
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

BYTES_MAX = 60_000
"""A connection is cut within so many bytes: some dozen commands."""
CHUNK = 4_096
NAME = ".s.PGSQL.5432"


@dataclass
class Cutter:
    """Carries bytes between clients and a server. `cutting`: each new connection is cut at a random byte."""

    server: str
    chance: random.Random
    cuts: int = 0
    cutting: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def carry(self, client: socket.socket) -> None:
        """Carry one connection's bytes until either side ends it or it is cut."""
        with client, socket.socket(socket.AF_UNIX) as server:
            server.connect(self.server)
            other, carried, cut_at = {client: server, server: client}, 0, 0
            while True:
                if self.cutting and not cut_at:
                    with self._lock:
                        cut_at = carried + self.chance.randint(1, BYTES_MAX)
                ready, _, _ = select.select([client, server], [], [], 0.5)
                for side in ready:
                    try:
                        data = side.recv(CHUNK)
                    except OSError:
                        return
                    if not data:
                        return
                    if self.cutting and cut_at and carried + len(data) >= cut_at:
                        with contextlib.suppress(OSError):  # a part of it arrives
                            other[side].sendall(data[: max(0, cut_at - carried)])
                        self.cuts += 1
                        return
                    carried += len(data)
                    try:
                        other[side].sendall(data)
                    except OSError:
                        return


@contextlib.contextmanager
def between(folder: Path, server_socket_dir: str, chance: random.Random) -> Iterator[Cutter]:
    """Listen in a folder as PostgreSQL would, and carry everything to the real one."""
    cutter = Cutter(f"{server_socket_dir}/{NAME}", chance)
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(folder / NAME))
    listening.listen(64)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = listening.accept()
                threading.Thread(target=cutter.carry, args=(client,), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield cutter
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join(5)
