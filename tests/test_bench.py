"""`recount bench`: one document of conditions, figures and ratios, whatever the size."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from api.bench.protocol import Figure, in_turns, percentile

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
@pytest.mark.storage
def test_a_tiny_run_gives_the_document(tmp_path):
    """Given the smallest size, then each figure has its neighbour, its unit and its bound, and the conditions stand."""
    environment = {k: v for k, v in os.environ.items() if k != "DATABASE_URL"} | {"PYTHONPATH": str(ROOT)}
    picture = tmp_path / "picture.svg"
    done = subprocess.run(
        [sys.executable, "-P", "-m", "api.cli", "bench", "--tiny", "--json", "--picture", str(picture)],
        capture_output=True, check=False, cwd=tmp_path, env=environment, timeout=200,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()
    document = json.loads(done.stdout)
    assert {"conditions", "figures", "ratios"} <= document.keys()
    assert document["ratios"].keys() == document["reached"].keys()
    assert document["ratios"].keys() == {
        "append_vs_library", "http_vs_noop", "import_vs_copy", "rebuild_vs_library", "engine_vs_bound",
        "rebuild_vs_bound", "replay_growth", "cost_growth", "seal_growth",
    }  # fmt: skip
    for name, ratio in document["ratios"].items():
        figure = document["figures"][name]
        assert ratio > 0
        assert figure["ours"] > 0
        assert figure["beside"] > 0
        assert figure["unit"]
        assert figure["what"]
        assert ("at_least" in figure) != ("at_most" in figure)
    conditions = document["conditions"]
    assert conditions["scale"] == "tiny"
    assert conditions["settings"]["fsync"] == "on"
    assert conditions["cores"] >= 1
    assert document["figures"]["append_vs_library"]["event_bytes"] > 100
    assert picture.read_bytes().startswith(b"<?xml")


def test_a_ratio_is_the_median_of_pairs_taken_in_turns():
    """Given an hour that slows both, then the pairs' ratios stay what they are."""
    seen = []

    def rate(name, rates):
        return lambda run: seen.append(name) or rates[run]

    ours, beside, ratio = in_turns(3, rate("ours", [20.0, 2.0, 30.0]), rate("beside", [10.0, 1.0, 10.0]))
    assert (ours, beside, ratio) == (20.0, 10.0, 2.0)
    assert seen == ["ours", "beside"] * 3


@pytest.mark.parametrize(
    ("ratio", "bound", "reached"),
    [(0.5, {"at_least": 0.5}, True), (0.49, {"at_least": 0.5}, False),
     (1.3, {"at_most": 1.3}, True), (1.31, {"at_most": 1.3}, False)],
)  # fmt: skip
def test_a_bound_is_kept_or_not(ratio, bound, reached):
    """Given a ratio on its bound, then it is reached; beyond, it is not."""
    assert Figure("f", "1/s", 1.0, 1.0, ratio, "ours; theirs", **bound).reached is reached


def test_a_percentile_is_one_of_the_values():
    """Given a hundred values, then the 99th percentile is the one below which 99 lie."""
    assert percentile([float(n) for n in range(100)], 0.99) == 99.0
    assert percentile([1.0], 0.5) == 1.0
