"""The benchmarks of `recount bench`: each figure with its neighbour, measured in turns on one server.

`protocol.py` is what they share; one module for each kind of work; `running.py` puts them in one document.
"""
