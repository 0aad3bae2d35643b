"""Every method of the model, and what it says where it cannot."""

import datetime
import json
import pickle
import subprocess

import numpy as np
import pytest

import dmran
from conftest import SETTINGS


def test_settings_are_those_of_the_toml_file():
    model = dmran.DMRAN(preset="auc", d=64, lr=0.01, k=(5, 10), protocol="paper", k_core_users=2)
    assert model.get_params() == dict(preset="auc", d=64, lr=0.01, k=(5, 10), protocol="paper", k_core_users=2)
    everything = model.all_params()
    assert everything["model"]["d"] == 64 and everything["model"]["ff_width"] == 16
    assert everything["train"]["loss"] == "bce" and everything["eval"]["k"] == [5, 10]
    assert everything["data"]["k_core_users"] == 2 and everything["preset"] == "auc"
    assert dmran.DMRAN(**model.get_params()).get_params() == model.get_params()
    assert model.set_params(d=32) is model and model.all_params()["model"]["d"] == 32
    assert "lr=0.01" in repr(model) and dmran.Model("sasrec").get_params()["kind"] == "sasrec"
    assert dmran.DMRAN(d=np.int64(16), lr=np.float64(0.5)).all_params()["model"]["d"] == 16


@pytest.mark.parametrize(
    "settings, error, part",
    [
        (dict(epohcs=3), ValueError, "epohcs: there is no such setting; did you mean epochs"),
        (dict(epochs=0), ValueError, "train.epochs is 0; it must be 1 to 1000000"),
        (dict(lr=-1.0), ValueError, "train.lr is -1; it must be finite and greater than 0"),
        (dict(epochs="many"), ValueError, "epochs: invalid type"),
        (dict(loss="hinge"), ValueError, "hinge"),
        (dict(preset="best"), ValueError, "best"),
        (dict(d=object()), TypeError, "d: a number"),
        (dict(heads=3), ValueError, "heads"),
    ],
)
def test_a_wrong_setting_is_named(settings, error, part):
    with pytest.raises(error, match=part):
        dmran.DMRAN(head="atrank", **settings)


def test_a_failed_set_params_changes_nothing():
    model = dmran.DMRAN(d=16)
    with pytest.raises(ValueError):
        model.set_params(d=0)
    assert model.get_params()["d"] == 16


def test_the_report_tells_what_the_training_came_to(model):
    report = model.report_
    assert [epoch["epoch"] for epoch in report["epochs"]] == [1, 2]
    assert report["best_epoch"] in (1, 2) and report["epochs"][report["best_epoch"] - 1]["best"]
    assert 0 <= report["test"]["AUC, 1 negative"]["mean"] <= 1 and "HR@10" in report["test"]
    assert len(report["rivals"]) >= 2 and report["kind"] == "dmran"
    assert report["command"] == "dmran train table --d 8 --epochs 2 --seed 3"
    assert model.card["seed"] == 3 and "d = 8" in model.card["config"]


def test_recommend_is_the_program_s(model, program, csv, tmp_path):
    path = tmp_path / "m.dmran"
    model.save(path)
    command = [program, "recommend", path, csv, "--all", "-k", "4", "--json"]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    want = [
        (line["user"], int(best["item"]), np.float32(best["score"]), rank)
        for line in map(json.loads, lines)
        for rank, best in enumerate(line["recommendations"], 1)
    ]
    table = model.recommend(k=4).to_pydict()
    got = list(zip(table["user"], table["item"], map(np.float32, table["score"]), table["rank"]))
    assert got == want
    histories = dmran.load(path).recommend_histories(csv, k=4).to_pydict()
    assert histories["score"] == table["score"] and histories["item"] == [str(item) for item in table["item"]]
    assert dmran.load(path, mmap=True, ids="int").recommend_histories(csv, k=4).to_pydict()["item"] == table["item"]


def test_recommend_filters(model, events):
    viewed = {item for user, item in zip(events["user"], events["item"]) if user == "u05"}
    everything = model.recommend("u05", k=100, filter_viewed=False).to_pydict()
    assert len(everything["item"]) == 25 and everything["score"] == sorted(everything["score"], reverse=True)
    new = model.recommend("u05", k=100).to_pydict()["item"]
    assert new == [item for item in everything["item"] if item not in viewed]
    few = model.recommend("u05", k=100, items=new[:4], exclude=new[1:2]).to_pydict()["item"]
    assert few == [new[0], *new[2:4]]
    assert model.recommend("u05", k=0).shape == (0, 4)
    assert model.recommend(np.array(["u05", "u06"]), k=1).to_pydict()["user"] == ["u05", "u06"]


def test_recommend_at_a_moment(model, events):
    rows = [(t, i) for u, i, t in zip(events["user"], events["item"], events["timestamp"]) if u == "u05"]
    third = sorted(rows)[2][0]
    early = model.recommend("u05", k=5, now=third).to_pydict()
    moment = datetime.datetime.fromtimestamp(third, datetime.timezone.utc)
    assert model.recommend("u05", k=5, now=moment).to_pydict() == early
    assert early["score"] != model.recommend("u05", k=5).to_pydict()["score"]
    history = [(item, time) for time, item in sorted(rows)[:3]]
    assert model.score(history, early["item"]).tolist() == early["score"]
    with pytest.warns(UserWarning, match="1 users are left out"):
        assert len(model.recommend("u05", now=sorted(rows)[0][0] - 1)) == 0


def test_unknown_users_and_items_are_named(model):
    with pytest.raises(KeyError, match='unknown users: "nobody"'):
        model.recommend(["u00", "nobody"])
    with pytest.raises(KeyError, match="unknown items"):
        model.recommend(["u00"], items=[1, 2])
    with pytest.raises(KeyError, match="9999"):
        model.explain("u00", 9999)
    with pytest.raises(KeyError, match="9999"):
        model.similar_items(9999)
    with pytest.raises(TypeError, match="no id"):
        model.recommend([None])
    with pytest.raises(ValueError, match="negative"):
        model.recommend("u00", k=-1)


def test_histories_of_strangers(model):
    log = {"user": np.array([7, 7, 8]), "item": np.array([101, 103, 999]), "timestamp": np.array([1, 2, 3]) + 1_700_000_000}
    with pytest.warns(UserWarning) as said:
        table = model.recommend_histories(log, k=2).to_pydict()
    assert table["user"] == [7, 7] and not {101, 103} & set(table["item"])
    texts = [str(warning.message) for warning in said]
    assert any("does not know" in text for text in texts) and any("1 users are left out" in text for text in texts)
    with pytest.raises(ValueError, match="not one of its 1 items is known"):
        model.recommend_histories({name: values[2:] for name, values in log.items()})
    with pytest.raises(KeyError, match="no column for the item"):
        model.recommend_histories({"user": np.array(["a"]), "timestamp": np.array([5])})


def test_scores_of_candidates(model):
    scores = model.score([101, 103], [105, 7, 106])
    assert scores.dtype == np.float32 and scores.shape == (3,) and np.isnan(scores).tolist() == [False, True, False]
    timed = [(103, 1_700_100_000), (101, 1_700_000_000)]
    assert model.score(timed, [105]).tolist() == model.score(timed[::-1], [105]).tolist()
    with pytest.raises(ValueError, match="all events"):
        model.score([(103, 5), 101], [105])


def test_an_explanation_adds_up(model):
    best = model.recommend("u05", k=1).to_pydict()
    why = model.explain("u05", best["item"][0])
    events = why["events"].to_pydict()
    assert why["score"] == best["score"][0] and abs(sum(events["share"]) - 1) < 1e-5
    assert events["share"] == sorted(events["share"], reverse=True) and isinstance(events["item"][0], int)
    assert model.explain(item=105, history=[101, 103])["score"] == model.score([101, 103], [105])[0]
    with pytest.raises(TypeError, match="a user or a history"):
        model.explain("u05", 105, history=[101])


def test_similar_items_are_the_cosines_of_the_vectors(model):
    vectors = model.item_vectors
    assert vectors.shape == (25, 8) and vectors.dtype == np.float32
    table = model.similar_items(105, 4).to_pydict()
    own = model.items.index(105)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    cosine = unit @ unit[own]
    cosine[own] = -2
    want = [model.items[at] for at in np.argsort(-cosine)[:4]]
    assert table["item"] == want and np.allclose(table["score"], np.sort(cosine)[::-1][:4], atol=1e-5)


def test_vectors_tell_the_scores_of_the_head_mean(model, arrays):
    users, vectors = model.user_vectors()
    assert users == model.users and vectors.shape == (40, 8)
    scores = vectors @ model.item_vectors.T + model.item_biases
    table = model.recommend("u05", k=25, filter_viewed=False).to_pydict()
    at = [model.items.index(item) for item in table["item"]]
    assert np.allclose(scores[users.index("u05")][at], table["score"], atol=1e-4)
    again = model.user_vectors(arrays)
    assert again[0] == users and (again[1] == vectors).all()
    other = dmran.DMRAN(d=8, epochs=1, head="vanilla").fit(arrays, progress=False)
    with pytest.warns(UserWarning, match="worth a look"):
        assert other.user_vectors()[1].shape == (40, 8)


def test_evaluate_is_the_program_s(model, program, csv, tmp_path, monkeypatch):
    monkeypatch.chdir(csv.parent)
    model.save(tmp_path / "m.dmran")
    command = [program, "evaluate", tmp_path / "m.dmran", "log.csv", "--json", "-k", "3,5"]
    want = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    got = model.evaluate("log.csv", k=[3, 5])
    assert got["model"]["AUC, 1 negative"]["mean"] == want["model"]["auc"]["mean"]
    assert got["unknown_items"] == 0 and got["protocol"]["protocol"] == "honest" and "HR@3" in got["model"]
    assert got["model"]["AUC, 1 negative"]["mean"] == model.report_["test"]["AUC, 1 negative"]["mean"]
    with pytest.raises(ValueError, match="no such setting"):
        model.evaluate("log.csv", kk=3)


def test_metrics_on_a_split_of_one_s_own(arrays):
    last = np.append(arrays["user"][1:] != arrays["user"][:-1], True)
    train = {name: values[~last] for name, values in arrays.items()}
    test = {name: values[last] for name, values in arrays.items()}
    model = dmran.DMRAN(**SETTINGS).fit(train, progress=False)
    figures = model.evaluate_split(test, k=25, filter_viewed=False)
    assert figures["users"] == 40 and figures["recall"] == figures["hr"] == 1.0
    table = model.recommend(k=25, filter_viewed=False).to_pydict()
    ranks = {(u, i): r for u, i, r in zip(table["user"], table["item"], table["rank"])}
    mrr = np.mean([1 / ranks[u, i] for u, i in zip(test["user"], test["item"])])
    assert abs(figures["mrr"] - mrr) < 1e-12 and figures["map"] == figures["mrr"]
    assert model.evaluate_split({"user": ["new"], "item": ["x"]})["hr"] == 0
    with pytest.raises(KeyError, match="no column 'user'"):
        model.evaluate_split({"item": ["x"]})


def test_a_model_survives_pickle_whole(model):
    twin = pickle.loads(pickle.dumps(model))
    assert twin.recommend(k=3).to_pydict() == model.recommend(k=3).to_pydict()
    assert twin.report_ == model.report_ and twin.get_params() == model.get_params() and twin.users == model.users
    assert pickle.loads(pickle.dumps(dmran.DMRAN(d=16))).get_params()["d"] == 16


def test_a_file_holds_no_users(model, tmp_path):
    path = tmp_path / "m.dmran"
    model.save(str(path))
    loaded = dmran.load(path)
    assert loaded.items == [str(item) for item in model.items] and loaded.card == model.card
    assert (loaded.item_vectors == model.item_vectors).all()
    with pytest.raises(ValueError, match="holds no users"):
        loaded.recommend(["u00"])
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(ValueError):
        dmran.load(path)
    with pytest.raises(FileNotFoundError):
        dmran.load(tmp_path / "none.dmran")
    with pytest.raises(OSError):
        model.save(tmp_path / "no folder" / "m.dmran")
    model.save(path)
    with pytest.raises(ValueError, match="ids"):
        dmran.load(path, ids="float")


def test_what_needs_a_fitted_model_says_so():
    for call in (lambda m: m.recommend(), lambda m: m.items, lambda m: m.save("x")):
        with pytest.raises(ValueError, match="not fitted"):
            call(dmran.DMRAN())


@pytest.mark.parametrize("kind", ["sasrec", "atrank", "bi-lstm", "bi-lstm-attention", "cnn-pooling", "bpr-mf"])
def test_rivals_are_trained_and_measured(kind, arrays):
    model = dmran.Model(kind, d=8, heads=1, epochs=1).fit(arrays, progress=False)
    assert model.report_["kind"] == kind and model.report_["test"]["HR@10"]["n"] == 40
    with pytest.raises(ValueError, match="only dmran"):
        model.recommend()


def test_most_popular_is_counted(arrays):
    assert "most popular" in dmran.Model("most-popular").fit(arrays, progress=False).report_["rivals"]


@pytest.mark.parametrize("loss", ["bce", "bpr", "softmax", "sampled-softmax"])
def test_every_loss_trains(loss, arrays):
    model = dmran.DMRAN(d=8, epochs=1, loss=loss).fit(arrays, progress=False)
    assert f'loss = "{loss}"' in model.card["config"] and len(model.recommend(k=1)) == 40


def test_a_log_without_times_or_categories(arrays):
    with pytest.warns(UserWarning, match="no times"):
        model = dmran.DMRAN(**SETTINGS).fit({name: arrays[name] for name in ("user", "item")}, progress=False)
    assert len(model.recommend(k=2)) == 80
    with pytest.raises(ValueError, match="now needs"):
        model.recommend(now=5)
