"""Connections that ask for nothing, or never end: they are cut within a limit, and nobody waits for it."""

import contextlib
import socket
import threading
import time

import httpx
import pytest

from tests.http_service import serving
from tests.support import wait_for

pytestmark = pytest.mark.storage

HEAD = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: "
SOME = 300
"""So many slow connections at once."""


@contextlib.contextmanager
def connected(client, count=1):
    """Open plain connections to the service."""
    host, port = client.base_url.removeprefix("http://").split(":")
    with contextlib.ExitStack() as stack:
        yield [
            stack.enter_context(socket.create_connection((host, int(port)), timeout=20)) for _ in range(count)
        ]


def is_cut(one, wait_s=0.0):
    """Whether the service has closed a connection without a word."""
    one.settimeout(wait_s)
    try:
        return one.recv(65_536) == b""
    except (BlockingIOError, TimeoutError):
        return False
    except ConnectionError:
        return True


@contextlib.contextmanager
def trickling(connections):
    """Send a byte of a head that never ends on each connection, over and over."""
    over = threading.Event()

    def send():
        while not over.wait(0.2):
            for one in connections:
                with contextlib.suppress(OSError):
                    one.sendall(b"x")

    sender = threading.Thread(target=send)
    sender.start()
    try:
        yield
    finally:
        over.set()
        sender.join()


def test_heads_that_never_end_and_silence_are_cut_and_others_are_answered_meanwhile(runtime):
    """Given hundreds who send a byte now and then, or nothing, then each is cut, and a client gets its answers."""
    with serving(runtime, head_wait_s=3.0) as client, connected(client, 2 * SOME) as slow:
        for one in slow[:SOME]:
            one.sendall(HEAD)
        with trickling(slow[:SOME]):
            began, answers = time.monotonic(), 0
            while not all(is_cut(one) for one in (slow[0], slow[SOME - 1], slow[-1])):
                assert client.get("/healthz").status_code == 200
                answers += 1
                assert time.monotonic() - began < 60
            wait_for(lambda: all(is_cut(one, 0.01) for one in slow))
        assert answers > 1


def test_more_waiting_connections_than_there_is_place_for_push_out_the_oldest(runtime):
    """Given more silent connections than may wait, then those that waited longest go at once, and newcomers ask."""
    with (
        serving(runtime, waiting_max=50, head_wait_s=600.0) as client,
        connected(client, 50) as first,
        connected(client, SOME) as more,
    ):
        assert client.get("/healthz").status_code == 200
        wait_for(lambda: all(is_cut(one, 0.01) for one in first))
        more[-1].sendall(HEAD + b"y\r\n\r\n")
        assert more[-1].recv(100).startswith(b"HTTP/1.1 200")


def test_a_connection_that_is_used_lasts_and_its_next_head_has_its_own_time(runtime):
    """Given requests one after the other on one connection, for longer than a head may take, then all are answered."""
    with serving(runtime, head_wait_s=2.0) as client, connected(client) as (one,):
        for _ in range(6):
            one.sendall(HEAD)
            time.sleep(0.5)
            one.sendall(b"y\r\n\r\n")
            assert one.recv(65_536).startswith(b"HTTP/1.1 200")
        one.sendall(HEAD)
        wait_for(lambda: is_cut(one, 0.1))


@pytest.mark.slow  # as long as clients' pools keep a connection, and a moment more
def test_a_connection_lasts_longer_than_clients_keep_it_for_the_next_request(runtime):
    """Given a connection that was answered and is silent for what pools keep it by default, then it still answers."""
    with serving(runtime) as client, connected(client) as (one,):
        for _ in range(2):
            one.sendall(HEAD + b"y\r\n\r\n")
            assert one.recv(65_536).startswith(b"HTTP/1.1 200")
            assert not is_cut(one, httpx.Limits().keepalive_expiry + 1)


@pytest.mark.parametrize(
    "sent",
    [
        HEAD,
        b"GET /" + b"a" * 100,
        b"POST /auth/demo-token HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-Trailer: ",
    ],
    ids=["header", "address", "trailer"],
)
def test_what_is_sent_without_end_is_not_kept(runtime, sent):
    """Given a header, an address or a trailer without end, then the connection is broken off after some kilobytes."""
    with serving(runtime, head_wait_s=600.0) as client, connected(client) as (one,):
        one.sendall(sent)
        total = 0
        with contextlib.suppress(ConnectionError):
            while total < 50_000_000:
                total += one.send(b"a" * 65_536)
        assert total < 50_000_000
        assert client.get("/healthz").status_code == 200


def test_a_body_after_its_answer_holds_no_connection(runtime):
    """Given a body that goes on after it was turned away, then the connection ends within the limit for a head."""
    head = b"POST /crm/batch HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 900000000\r\n\r\n"
    with serving(runtime, head_wait_s=2.0) as client, connected(client) as (one,):
        one.sendall(head)
        assert one.recv(65_536).startswith(b"HTTP/1.1 401")
        with trickling([one]):
            wait_for(lambda: is_cut(one, 0.1))


def test_requests_sent_in_one_go_are_all_answered(runtime):
    """Given hundreds of requests in one packet, more than a head may have, then each has its answer, in order."""
    count = 200
    with serving(runtime, head_wait_s=5.0) as client, connected(client) as (one,):
        request = HEAD + b"y" * 500 + b"\r\n\r\n"
        sender = threading.Thread(target=one.sendall, args=(request * count,))
        sender.start()
        got = b""
        while got.count(b"HTTP/1.1 200") < count:
            part = one.recv(65_536)
            assert part
            got += part
        sender.join()
