"""Random lives of a ledger, each from one seed: what came of them is held against an oracle that folds everything anew.

`acts` says what may happen, `memory` and `stored` let it happen (on the library's in-memory recorder, and on the real
PostgreSQL with the real writer, importer, closing and read models), `breaking` lets either die or lose its connection
at any step, `oracle` is the naive other opinion, and `checks` holds the two against each other. `running` is one run.
"""
