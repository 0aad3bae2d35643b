"""A small log in all kinds of tables, and a model of it."""

import os
import shutil
import signal
import subprocess
from pathlib import Path

import numpy as np
import pytest

import dmran

SETTINGS = dict(d=8, epochs=2, threads=2, seed=3)
FLAGS = ["--d", "8", "--epochs", "2", "--seed", "3"]
USERS, ITEMS = 40, 25

# A shell that starts the tests in the background has them ignore Ctrl-C, which some of them press.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def events():
    """Columns as lists: string users, integer items, seconds."""
    rng = np.random.default_rng(1)
    user, item, time, category = [], [], [], []
    for u in range(USERS):
        start = int(rng.integers(0, ITEMS))
        for n in range(int(rng.integers(5, 12))):
            i = (start + n * (1 + u % 3)) % ITEMS
            user.append(f"u{u:02}")
            item.append(100 + i)
            time.append(1_700_000_000 + 86_400 * n + 60 * u)
            category.append(f"c{i % 4}")
    return {"user": user, "item": item, "timestamp": time, "category": category}


@pytest.fixture(scope="session")
def csv(events, tmp_path_factory):
    path = tmp_path_factory.mktemp("log") / "log.csv"
    rows = zip(*events.values())
    path.write_text("\n".join([",".join(events), *(",".join(map(str, row)) for row in rows)]) + "\n")
    return path


@pytest.fixture(scope="session")
def arrays(events):
    return {name: np.array(values) for name, values in events.items()}


@pytest.fixture(scope="session")
def model(arrays):
    return dmran.DMRAN(**SETTINGS).fit(arrays, progress=False)


@pytest.fixture(scope="session")
def program():
    """The `dmran` program, from DMRAN_PROGRAM or the target folder of this repository."""
    root = Path(__file__).resolve().parents[3]
    named = os.environ.get("DMRAN_PROGRAM")
    for path in [named] if named else [root / "target/debug/dmran", root / "target/release/dmran", shutil.which("dmran")]:
        if path and Path(path).is_file():
            return str(path)
    pytest.skip("the dmran program is not built (DMRAN_PROGRAM names it)")


@pytest.fixture(scope="session")
def program_model(program, csv):
    """The bytes of the model file that the program makes of the log."""
    out = csv.parent / "program.dmran"
    command = [program, "train", csv.name, *FLAGS, "--threads", "2", "-q", "--out", out.name]
    subprocess.run(command, cwd=csv.parent, check=True, capture_output=True)
    return out.read_bytes()
