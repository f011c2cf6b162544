import pytest
from api.runtime import Runtime, present
from domain.ledger.seals import Sealer, Seals
from domain.ledger.signing import SealKey
from domain.evidence.headmap import head_of
from tests.support import *
pytestmark = pytest.mark.storage
def test_smoke(deployment):
    for name in ("A1", "A2", "A3"):
        bring(deployment, opening_line(name), charge_line(name))
    ledger=deployment.ledger(LEDGER)
    s=Sealer(ledger, SealKey(bytes(32)), "recount", present)
    one, made = s.seal()
    print(one.record.text().decode(), one.checkpoint.decode())
    assert made
    assert s.seal()==(one, False)
    bring(deployment, payment_line("A1"), opening_line("A4"))
    two,_=s.seal()
    print(two.record.text().decode(), two.checkpoint.decode())
    for seal in (one,two):
        for sub, pr in Seals(ledger).proofs(seal, ["account/A1","account/A4","account/A2","party/x"]).items():
            print(seal.number, sub, head_of(seal.record.heads, sub, pr))
