"""Time stamps: a local authority answers, or does not, and a seal stands either way."""

import subprocess
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from api.runtime import Runtime, present
from api.sealing import document, line, seal_one
from domain.ledger.seals import Seals
from domain.ledger.timestamping import read_stamp, stamp
from projections.engine import verify
from tests.sealing import KEY, NAME, as_owner, sealed_three_times
from tests.support import LEDGER, bring, opening_line

pytestmark = pytest.mark.storage

CONFIG = """
[tsa]
default_tsa = one
[one]
serial = {folder}/serial
signer_digest = sha256
digests = sha256
default_policy = 1.2.3.4
accuracy = secs:1
ess_cert_id_chain = no
[req]
distinguished_name = name
[name]
[ext]
extendedKeyUsage = critical,timeStamping
"""


class Authority:
    """A time-stamping authority on loopback: openssl signs what it is asked."""

    def __init__(self, folder):
        self.folder, self.broken = folder, False
        (folder / "tsa.cnf").write_text(CONFIG.format(folder=folder))
        (folder / "serial").write_text("01\n")
        self._openssl(
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
            "-subj", "/CN=test authority", "-keyout", "key.pem", "-out", "cert.pem", "-config", "tsa.cnf",
            "-extensions", "ext",
        )  # fmt: skip

    def _openssl(self, *arguments):
        subprocess.run(["openssl", *arguments], cwd=self.folder, check=True, capture_output=True, timeout=60)

    def answer(self, query):
        (self.folder / "query.tsq").write_bytes(query)
        self._openssl(
            "ts", "-reply", "-queryfile", "query.tsq", "-config", "tsa.cnf", "-section", "one",
            "-signer", "cert.pem", "-inkey", "key.pem", "-out", "answer.tsr",
        )  # fmt: skip
        return (self.folder / "answer.tsr").read_bytes()


@pytest.fixture
def authority(tmp_path):
    """Return an authority and its address."""
    one = Authority(tmp_path)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            query = self.rfile.read(int(self.headers["Content-Length"]))
            content = b"out of order" if one.broken else one.answer(query)
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_arguments):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield one, f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


def test_a_seal_is_stamped_and_those_that_were_not_are_stamped_later(deployment, authority):
    """Given an authority that fails and comes back, then every seal stands at once and is stamped in the end."""
    one, url = authority
    sealed_three_times(deployment)
    ledger = deployment.ledger(LEDGER)
    one.broken = True
    runtime = Runtime(deployment, seal_key=lambda: KEY, seal_name=NAME, tsa_url=url)
    bring(deployment, opening_line("A4"))
    sealed = seal_one(runtime, ledger)
    assert (sealed.made, sealed.seal.number, Seals(ledger).timestamps(4)) == (True, 4, [])
    assert "can't be read" in document(sealed)["time_stamp"]
    one.broken = False
    again = document(seal_one(runtime, ledger))
    assert (again["made"], again["time_stamp"]) == (False, "granted")
    assert line(again).endswith(", time stamp: granted")
    for number in range(1, 5):
        ((address, token),) = Seals(ledger).timestamps(number)
        assert address == url
        assert read_stamp(token, Seals(ledger).numbered(number).checkpoint)
    assert stamp(ledger, url, present) == (0, None)


def test_an_authority_that_is_not_there_hinders_nothing(deployment):
    """Given an address where nobody answers, then the seal stands and the reason is told."""
    bring(deployment, opening_line("A1"))
    runtime = Runtime(deployment, seal_key=lambda: KEY, seal_name=NAME, tsa_url="http://127.0.0.1:9/")
    sealed = seal_one(runtime, deployment.ledger(LEDGER))
    assert sealed.made
    assert sealed.stamp


def test_a_stamp_of_another_seal_is_found(deployment, authority):
    """Given the stamp of one seal put to another, when verified, then it is told."""
    _, url = authority
    sealed_three_times(deployment)
    ledger = deployment.ledger(LEDGER)
    assert stamp(ledger, url, present) == (3, None)

    def found():
        verdict = verify(ledger, [], present(), sample=None, keys=lambda origin: [KEY.named(origin)])
        return [d.text for d in verdict.differences]

    assert found() == []
    as_owner(
        deployment,
        "UPDATE seal_timestamp SET token = (SELECT token FROM seal_timestamp WHERE seal = 1) WHERE seal = 2",
    )
    assert found() == [f"seal 2, time stamp of {url}: the time stamp is of something else"]
