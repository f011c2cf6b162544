"""A time-stamping authority of our own: a root, an intermediate and a signer made in memory, answering over real HTTP.

It signs whatever it is told to, so that each link of what is checked can be made wrong by itself.
"""

import contextlib
import hashlib
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from rfc3161_client._rust import parse_timestamp_request  # the library has no public name for it

SHA256_ID = bytes.fromhex("300d06096086480165030402010500")  # AlgorithmIdentifier
ECDSA_ID = bytes.fromhex("300a06082a8648ce3d040302")
SIGNED_DATA = "1.2.840.113549.1.7.2"
TST_INFO = "1.2.840.113549.1.9.16.1.4"
CONTENT_TYPE, MESSAGE_DIGEST = "1.2.840.113549.1.9.3", "1.2.840.113549.1.9.4"
SIGNING_CERTIFICATE_V2 = "1.2.840.113549.1.9.16.2.47"
POLICY = "1.3.6.1.4.1.99999.1"
DAY = timedelta(days=1)


def der(tag, *parts):
    """Return one element of DER."""
    content = b"".join(parts)
    size = len(content)
    if size < 128:
        return bytes([tag, size]) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 128 | len(length)]) + length + content


def oid(dotted):
    """Return an object identifier."""
    first, second, *rest = map(int, dotted.split("."))
    out = bytearray()
    for number in (first * 40 + second, *rest):
        digits = [number & 127]
        while number := number >> 7:
            digits.append(number & 127 | 128)
        out += bytes(reversed(digits))
    return der(6, bytes(out))


def integer(value):
    """Return a whole number that is not negative."""
    return der(2, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def attribute(kind, value):
    """Return a signed attribute with one value."""
    return der(0x30, oid(kind), der(0x31, value))


def pem(*certificates):
    """Return certificates as a PEM file has them."""
    return b"".join(c.public_bytes(Encoding.PEM) for c in certificates)


class Certified:
    """A certificate and its key."""

    def __init__(self, name, issuer=None, *, ca=True, usages=(), critical=True, since=None, until=None):
        now = datetime.now(UTC)
        self.key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer.certificate.subject if issuer else subject)
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(since or now - 365 * DAY)
            .not_valid_after(until or now + 365 * DAY)
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        )
        if usages:
            builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=critical)
        self.certificate = builder.sign((issuer or self).key, SHA256())


class Authority:
    """Signs time stamps. `tell` is what it does otherwise than it should, asked for each answer."""

    def __init__(self, name="authority", **signer):
        self.root = Certified(f"{name} root")
        self.intermediate = Certified(f"{name} intermediate", self.root)
        given = {"ca": False, "usages": [ExtendedKeyUsageOID.TIME_STAMPING], **signer}
        self.signer = Certified(f"{name} signer", self.intermediate, **given)
        self.broken = None
        self.embedded = (self.signer.certificate, self.intermediate.certificate)

    def answer(self, query):
        """Answer a request as an authority does."""
        if self.broken is not None:
            return self.broken
        asked = parse_timestamp_request(query)
        return self.stamp(asked.message_imprint.message, nonce=asked.nonce)

    def stamp(self, imprint, *, nonce=None, at=None, algorithm=SHA256_ID):
        """Return a response with a time stamp of an imprint."""
        at = at or datetime.now(UTC)
        info = der(
            0x30,
            integer(1),
            oid(POLICY),
            der(0x30, algorithm, der(4, imprint)),
            integer(x509.random_serial_number()),
            der(0x18, at.strftime("%Y%m%d%H%M%SZ").encode()),
            integer(nonce) if nonce is not None else b"",
        )
        return der(0x30, der(0x30, integer(0)), self.signed(info))

    def signed(self, info):
        """Return a TSTInfo as signed data (CMS)."""
        certificate = self.signer.certificate
        raw = certificate.public_bytes(Encoding.DER)
        ess = der(0x30, der(0x30, der(0x30, der(4, hashlib.sha256(raw).digest()))))
        attributes = b"".join(
            sorted(
                [
                    attribute(CONTENT_TYPE, oid(TST_INFO)),
                    attribute(MESSAGE_DIGEST, der(4, hashlib.sha256(info).digest())),
                    attribute(SIGNING_CERTIFICATE_V2, ess),
                ]
            )
        )
        signature = self.signer.key.sign(der(0x31, attributes), ec.ECDSA(SHA256()))
        signer = der(
            0x30,
            integer(1),
            der(0x30, certificate.issuer.public_bytes(), integer(certificate.serial_number)),
            SHA256_ID,
            der(0xA0, attributes),
            ECDSA_ID,
            der(4, signature),
        )
        data = der(
            0x30,
            integer(3),
            der(0x31, SHA256_ID),
            der(0x30, oid(TST_INFO), der(0xA0, der(4, info))),
            der(0xA0, *sorted(c.public_bytes(Encoding.DER) for c in self.embedded)) if self.embedded else b"",
            der(0x31, signer),
        )
        return der(0x30, oid(SIGNED_DATA), der(0xA0, data))


@contextlib.contextmanager
def listening(one):
    """Let an authority answer on loopback; yields its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            query = self.rfile.read(int(self.headers["Content-Length"]))
            content = one.answer(query)
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_arguments):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()
