"""The scorer for services."""

import multiprocessing
import pickle
import threading

import numpy as np
import pytest

import dmran


@pytest.fixture(scope="module")
def path(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("scorer") / "m.dmran"
    model.save(path)
    return path


@pytest.fixture(scope="module")
def scorer(path):
    return dmran.Scorer(path)


def test_scores_are_those_of_the_model(model, scorer):
    history, candidates = scorer.find(["101", "103"]), scorer.find(["105", "106"])
    assert history.dtype == np.uint32 and len(scorer) == 25 and scorer.items[history[0]] == "101"
    times = np.array([1_700_000_000, 1_700_100_000])
    want = model.score(list(zip([101, 103], times.tolist())), [105, 106])
    got = scorer.score(history, candidates, times=times)
    assert got.dtype == np.float32 and got.tolist() == want.tolist()
    out = np.empty(2, np.float32)
    assert scorer.score(history, candidates, times=times, out=out) is out and out.tolist() == want.tolist()
    items, scores = scorer.top_k(history, 25, times=times, filter_viewed=False)
    assert sorted(items) == list(range(25)) and scores[list(items).index(candidates[0])] == want[0]
    items, _ = scorer.top_k(history, 25, exclude=candidates)
    assert len(items) == 21 and not {*history, *candidates} & set(items)


def test_what_is_wrong_is_said(scorer, tmp_path):
    one = np.array([1], np.uint32)
    with pytest.raises(KeyError, match="unknown item"):
        scorer.find(["nothing"])
    with pytest.raises(ValueError, match="25 items"):
        scorer.score(one, np.array([25], np.uint32))
    with pytest.raises(ValueError, match="room for 2"):
        scorer.score(one, one, out=np.empty(2, np.float32))
    with pytest.raises(ValueError, match="one time for each"):
        scorer.score(one, one, times=np.array([1, 2]))
    with pytest.raises(TypeError):
        scorer.score([1], one)
    with pytest.raises(ValueError):
        scorer.score(np.arange(4, dtype=np.uint32)[::2], one)
    with pytest.raises(FileNotFoundError):
        dmran.Scorer(tmp_path / "none")
    with pytest.raises(ValueError):
        dmran.Scorer.from_bytes(b"no model")


def test_one_scorer_serves_many_threads(scorer):
    histories = [np.array([i, (i * 7) % 25, (i * 3) % 25], np.uint32) for i in range(25)]
    everything = np.arange(25, dtype=np.uint32)
    want = [scorer.score(history, everything).tolist() for history in histories]
    wrong = []

    def serve():
        for _ in range(40):
            for history, scores in zip(histories, want):
                if scorer.score(history, everything).tolist() != scores:
                    wrong.append(history)

    threads = [threading.Thread(target=serve) for _ in range(4)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert not wrong


def work(scorer):
    return scorer.score(np.array([1, 2], np.uint32), np.array([3], np.uint32)).tolist()


@pytest.mark.parametrize("mmap", [False, True])
def test_processes_share_a_scorer(path, mmap):
    scorer = dmran.Scorer(path, mmap=mmap)
    assert (len(pickle.dumps(scorer)) < 500) == mmap
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        assert pool.map(work, [scorer] * 3) == [work(scorer)] * 3


def test_a_scorer_of_a_model_in_memory(model, scorer):
    assert work(model.scorer()) == work(scorer)
