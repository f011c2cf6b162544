"""The write side of Recount, with a pure core.

The words used everywhere, in prose:

An **event** is something that happened to a **party** (a person or organisation), an **account** (one service
contract and its money), a **dealer** or a **case** (a complaint and what follows from it). It stands in its
**stream**, under the subject `account/ID`, once and for ever, in the **log** of a regional **ledger**.

Each event has three clocks: its **time** (when it happened), its **recorded time** (when the system of record
learned of it) and the time it was **appended** here. A **replay** asks what was true **at** one moment **as
known at** another. Its **version** counts within the stream, its **position** within the ledger, and its
**digest** chains it to the event before it.

A **command** asks for something; it is **decided** from the **state** that the events so far amount to, and
leads to events or to a **refusal**. **Observed history** is imported as it happened, right or wrong.

A **charge** is due on a day; unpaid after it, it is in **arrears**, ages through **buckets**, earns **late
fees**, and may lead through **notices** (attempted is not delivered) to **suspension**, **termination** and
the **blacklist**, unless a **dispute hold** stands. The **balance** is in fen; positive is owed.

`events` and `commands` say what can be said; `account`, `party`, `dealer`, `case` and `rulebook` hold states,
`decisions` decides; `replay` answers; `ledger` is the one part that does input and output.
"""
