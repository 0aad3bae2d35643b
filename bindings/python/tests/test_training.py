"""What happens while a model trains: callbacks, Ctrl-C, run folders, threads, memory."""

import os
import signal
import threading
import time
import warnings

import numpy as np
import pytest

import dmran
from conftest import SETTINGS


def slow_log(users=3000, events=40, items=2000):
    rng = np.random.default_rng(2)
    return {
        "user": np.repeat(np.arange(users), events),
        "item": rng.integers(0, items, users * events),
        "time": np.tile(np.arange(events), users) + 1_700_000_000,
    }


def test_a_callback_hears_every_epoch_and_may_stop(arrays):
    heard = []
    model = dmran.DMRAN(d=8, epochs=5, patience=0).fit(arrays, progress=False, callback=heard.append)
    assert [report["epoch"] for report in heard] == [1, 2, 3, 4, 5] == [e["epoch"] for e in model.report_["epochs"]]
    assert {"loss", "auc", "seconds", "best", "ndcg@10"} <= set(heard[0])
    model.fit(arrays, progress=False, callback=lambda report: report["epoch"] < 2)
    assert len(model.report_["epochs"]) == 2 and len(model.recommend(k=1)) == 40


def test_an_error_in_a_callback_ends_the_training(arrays):
    def callback(report):
        raise ZeroDivisionError("mine")

    model = dmran.DMRAN(d=8, epochs=3)
    with pytest.raises(ZeroDivisionError, match="mine"):
        model.fit(arrays, progress=False, callback=callback)
    with pytest.raises(ValueError, match="not fitted"):
        model.recommend()


def test_the_callback_runs_on_the_caller_s_thread(arrays):
    threads = []
    dmran.DMRAN(d=8, epochs=1).fit(arrays, progress=False, callback=lambda _: threads.append(threading.get_ident()))
    assert threads == [threading.get_ident()]


@pytest.mark.parametrize("settings", [dict(), dict(head="atrank", loss="bce")], ids=["softmax", "bce"])
def test_ctrl_c_is_heard_within_a_second(settings):
    log = slow_log()
    model = dmran.DMRAN(epochs=1000, patience=0, **settings)
    pressed = []

    def press():
        time.sleep(1.5)
        pressed.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=press).start()
    with pytest.raises(KeyboardInterrupt):
        model.fit(log, progress=False)
    assert time.monotonic() - pressed[0] < 1.0
    with pytest.raises(ValueError, match="not fitted"):
        model.recommend()


def test_a_run_goes_on_after_ctrl_c_to_the_same_bytes(arrays, tmp_path):
    settings = dict(d=8, epochs=4, patience=0, seed=5)
    straight = dmran.DMRAN(**settings).fit(arrays, progress=False)
    run = tmp_path / "run"

    def interrupt(report):
        if report["epoch"] == 2:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        dmran.DMRAN(**settings).fit(arrays, run=run, progress=False, callback=interrupt)
    deadline = time.monotonic() + 20
    while True:
        try:
            resumed = dmran.DMRAN(**settings).fit(arrays, run=run, progress=False)
            break
        except RuntimeError as error:  # the interrupted trainer still holds the folder
            assert "another trainer" in str(error) and time.monotonic() < deadline
            time.sleep(0.1)
    straight.save(tmp_path / "straight.dmran")
    assert (run / "model.dmran").read_bytes() == (tmp_path / "straight.dmran").read_bytes()
    assert resumed.report_["saved"] == str(run / "model.dmran")
    with pytest.raises(ValueError, match="seed"):
        dmran.DMRAN(**{**settings, "seed": 6}).fit(arrays, run=run, progress=False)
    longer = dmran.DMRAN(**{**settings, "epochs": 5}).fit(arrays, run=run, allow=["epochs"], progress=False)
    assert len(longer.report_["epochs"]) == 5


def test_notes_are_warnings(arrays):
    odd = {**arrays, "user": np.where(arrays["user"] == "u00", "NA", arrays["user"])}
    with pytest.warns(UserWarning, match="seems to stand for nothing"):
        dmran.DMRAN(**SETTINGS).fit(odd, progress=False)
    broken = {**arrays, "timestamp": np.where(arrays["user"] == "u00", "noon", arrays["timestamp"].astype(str))}
    with pytest.warns(UserWarning, match="malformed lines skipped"):
        dmran.DMRAN(**SETTINGS, on_error="skip").fit(broken, progress=False)
    with pytest.raises(ValueError, match="not a time"):
        dmran.DMRAN(**SETTINGS).fit(broken, progress=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        dmran.DMRAN(**SETTINGS).fit(arrays, progress=False)


def test_what_cannot_be_trained_is_refused(arrays):
    with pytest.raises(ValueError, match="nothing to learn from"):
        dmran.DMRAN().fit({"user": ["a", "a"], "item": ["x", "y"]}, time="none", progress=False)
    with pytest.raises(ValueError, match="max_memory allows"):
        dmran.DMRAN().fit(arrays, max_memory="10KiB", progress=False)
    with pytest.raises(ValueError, match="unknown unit"):
        dmran.DMRAN().fit(arrays, max_memory="10 XB", progress=False)
    with pytest.raises(RuntimeError, match="diverged"):
        dmran.DMRAN(d=8, lr=1e30, optimizer="sgd").fit(arrays, progress=False)
    with pytest.raises(ValueError, match="protocol time needs"):
        dmran.DMRAN(protocol="time").fit({n: arrays[n] for n in ("user", "item")}, progress=False)


def test_two_fits_in_two_threads_are_those_of_one(arrays, model):
    results = {}

    def fit(seed):
        results[seed] = dmran.DMRAN(**{**SETTINGS, "seed": seed}).fit(arrays, progress=False)

    threads = [threading.Thread(target=fit, args=(seed,)) for seed in (3, 4)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert results[3].recommend(k=5).to_pydict() == model.recommend(k=5).to_pydict()
    assert results[3].recommend(k=5).to_pydict() != results[4].recommend(k=5).to_pydict()


def test_the_gil_is_free_while_a_model_trains():
    log, beats, done = slow_log(1500), [], threading.Event()

    def fit():
        dmran.DMRAN(d=64, epochs=2, patience=0).fit(log, progress=False)
        done.set()

    thread = threading.Thread(target=fit)
    thread.start()
    while not done.is_set():
        beats.append(time.monotonic())
        time.sleep(0.005)
    thread.join()
    assert len(beats) > 20


def test_progress_is_shown_where_it_is_wanted(arrays, capfd):
    dmran.DMRAN(d=8, epochs=1).fit(arrays, progress=True)
    shown = capfd.readouterr().err
    assert "epoch" in shown
    dmran.DMRAN(d=8, epochs=1).fit(arrays)
    assert capfd.readouterr().err == ""


def resident():
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="needs Linux's /proc")
def test_memory_does_not_grow_from_fit_to_fit():
    fits = int(os.environ.get("DMRAN_FITS", "150"))
    user = np.repeat(np.arange(6), 5)
    log = {"user": user, "item": (user + np.tile(np.arange(5), 6)) % 9, "time": np.tile(np.arange(5), 6) + 1_700_000_000}

    def fit(count):
        for _ in range(count):
            dmran.DMRAN(d=8, epochs=1, threads=1).fit(log, progress=False).recommend(k=2)

    fit(50)
    before = resident()
    fit(fits)
    grown = resident() - before
    assert grown < 8 << 20, f"{grown / fits:.0f} bytes a fit"
