"""The README's tour is executed: what it shows is what the program says."""

import contextlib
import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from domain.ledger.embedded import EmbeddedPostgres

pytestmark = pytest.mark.storage

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```console\n(.*?)^```", README, re.DOTALL | re.MULTILINE)


def commands(block):
    """Return a console block as (command, expected output)."""
    parts = re.split(r"^\$ (.*)\n", block, flags=re.MULTILINE)[1:]
    return list(zip(parts[::2], parts[1::2], strict=True))


def matches(expected, actual):
    """Whether the output is as shown, `…` standing for anything."""
    pattern = ".*".join(re.escape(part) for part in expected.replace("…\n", "…").split("…"))
    return re.fullmatch(pattern, actual, re.DOTALL) is not None


def test_the_tour_shows_what_the_program_says(tmp_path, request):
    """Given an empty directory, when the tour's commands are run one after the other, then they say what it shows."""
    environment = dict(os.environ)
    if "DATABASE_URL" in environment:
        environment["DATABASE_URL"] = request.getfixturevalue("database_url")
        environment["RECOUNT_SEAL_KEY"] = "HxwdHhscGRoXGBUWExQREg8QDQ4LDAkKBwgFBgMEAQI="
        environment["RECOUNT_MASTER_KEY"] = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
    steps = [step for block in BLOCKS for step in commands(block)]
    assert len(steps) >= 5
    with contextlib.ExitStack() as stack:
        for command, expected in steps:
            program, *arguments = shlex.split(command)
            done = subprocess.run(
                [ROOT / program, *arguments, "--data", tmp_path],
                capture_output=True, text=True, cwd=ROOT, env=environment, timeout=60, check=False,
            )  # fmt: skip
            assert matches(expected, done.stdout), f"$ {command}\n{done.stdout}{done.stderr}"
            if command == steps[0][0] and "DATABASE_URL" not in environment:
                stack.enter_context(EmbeddedPostgres(tmp_path))  # as beside a service that runs


def test_the_readme_names_only_what_is_there():
    """Every folder and script of the map exists."""
    for name in re.findall(r"`((?:domain|projections|api|tests|scripts)/[\w./-]*)`", README):
        assert (ROOT / name).exists(), name
