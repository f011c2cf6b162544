"""A line to PostgreSQL that can be cut at a chosen moment: before, in or after a commit."""

import contextlib
import socket
import tempfile
import threading
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict, make_conninfo

WRITE = b"\0write\0"  # in the message that binds the writer's statement to its values
COMMIT = b"COMMIT\0"
HELD_MAX = 16
CHUNK = 1 << 16
CUTS = {
    "before the batch is sent": (WRITE, "unsent"),
    "while the batch is written": (WRITE, "unanswered"),
    "in the middle of its answer": (WRITE, "half answered"),
    "and the batch arrives late": (WRITE, "late"),
    "before the commit": (COMMIT, "unsent"),
    "while it commits": (COMMIT, "unanswered"),
}
"""When the line is cut, by name: at which message, and what becomes of that and of its answer."""


class Line:
    """Passes everything between clients and a server, but where it is told to cut."""

    def __init__(self, conninfo):
        self._server = conninfo_to_dict(conninfo)
        self._folder = tempfile.TemporaryDirectory(prefix="line-")
        port = self._server.get("port", "5432")
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(f"{self._folder.name}/.s.PGSQL.{port}")
        self._listening.listen()
        self._cuts = []
        self._open = []
        self.cut_times = 0
        self.late = []
        self.conninfo = make_conninfo(conninfo, host=self._folder.name, port=port, sslmode="disable")
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self, when, times=1):
        """Cut the line at the next moments of a kind."""
        self._cuts += [CUTS[when]] * times

    def close(self):
        """Cut everything."""
        self._listening.close()
        for one in self._open:
            one.close()
        self._folder.cleanup()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                server = self._connected()
                self._open += [client, server]
                session = _Session(self, client, server)
                threading.Thread(target=session.asking, daemon=True).start()
                threading.Thread(target=session.answering, daemon=True).start()

    def _connected(self):
        host, port = self._server.get("host", "localhost"), int(self._server.get("port", "5432"))
        if host.startswith("/"):
            made = socket.socket(socket.AF_UNIX)
            made.connect(str(Path(host) / f".s.PGSQL.{port}"))
            return made
        return socket.create_connection((host, port))

    def take(self, message):
        """Return how to cut at a message, None where it passes."""
        if self._cuts and self._cuts[0][0] in message:
            self.cut_times += 1
            return self._cuts.pop(0)[1]
        return None


class _Session:
    """One connection, from both ends."""

    def __init__(self, line, client, server):
        self._line, self._client, self._server = line, client, server
        self._how = None

    def asking(self):
        """Pass what the client asks."""
        with contextlib.suppress(OSError):
            while message := self._client.recv(CHUNK):
                self._how = self._how or self._line.take(message)
                if self._how == "unsent":
                    return self._hang_up(self._client, self._server)
                if self._how == "late":
                    self._line.late.append((self._server, message))
                    return self._hang_up(self._client)
                self._server.sendall(message)
        return self._hang_up(self._client, self._server) if self._how != "unanswered" else None

    def answering(self):
        """Pass what the server answers."""
        with contextlib.suppress(OSError):
            while message := self._server.recv(CHUNK):
                if self._how == "late":
                    continue
                if self._how is not None:
                    if self._how == "half answered":
                        self._client.sendall(message[: len(message) // 2])
                    return self._hang_up(self._client, self._server)
                self._client.sendall(message)
        return self._hang_up(self._client, self._server)

    @staticmethod
    def _hang_up(*ends):
        for end in ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def line_to(conninfo):
    """Lend a line to a server."""
    made = Line(conninfo)
    try:
        yield made
    finally:
        made.close()
