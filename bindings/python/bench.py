"""What Python costs beside the program: `python bench.py DMRAN LOG [SETTINGS...]`, with a release build of both.

Prints seconds of the program and of the package for the same training and the same recommendations, and microseconds of a
call of the scorer that has nothing to compute.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import dmran


def seconds(work):
    begin = time.perf_counter()
    result = work()
    return time.perf_counter() - begin, result


def main(program, log, *settings):
    folder = Path(tempfile.mkdtemp())
    given = dict(setting.split("=") for setting in settings)
    flags = [word for key, value in given.items() for word in (f"--{key.replace('_', '-')}", value)]
    numbers = {key: float(value) if "." in value else int(value) for key, value in given.items()}
    out = folder / "m.dmran"
    of_program, _ = seconds(lambda: subprocess.run([program, "train", log, *flags, "-q", "--out", out], check=True, capture_output=True))
    of_package, model = seconds(lambda: dmran.DMRAN(**numbers).fit(log, progress=False))
    print(f"fit: program {of_program:.2f} s, package {of_package:.2f} s ({of_package / of_program - 1:+.1%})")
    model.save(folder / "p.dmran")
    print("same bytes:", out.read_bytes() == (folder / "p.dmran").read_bytes())

    csv = folder / "all.csv"
    command = [program, "recommend", out, log, "--all", "-o", csv]
    of_program, _ = seconds(lambda: subprocess.run(command, check=True, capture_output=True))
    loaded = dmran.load(out)
    of_package, table = seconds(lambda: loaded.recommend_histories(log, k=10))
    known, _ = seconds(lambda: model.recommend(k=10))
    print(f"recommend to {len(set(table.to_pydict()['user']))} users: program {of_program:.2f} s with its file, package "
          f"{of_package:.2f} s with reading the log, {known:.2f} s for users it knows")

    scorer = dmran.Scorer(out)
    nobody, one, room = np.empty(0, np.uint32), np.array([1], np.uint32), np.empty(1, np.float32)
    rounds = 200_000
    took, _ = seconds(lambda: [scorer.score(nobody, one, out=room) for _ in range(rounds)])
    print(f"a call of score for an empty history and one candidate: {1e6 * took / rounds:.2f} us")


main(*sys.argv[1:])
