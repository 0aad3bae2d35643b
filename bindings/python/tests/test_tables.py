"""The same model, byte for byte, from all kinds of table; ids come back as they were."""

import datetime
import sys

import numpy as np
import pytest

import dmran
from conftest import SETTINGS


def fitted(data, **settings):
    return dmran.DMRAN(**{**SETTINGS, **settings}).fit(data, name="log.csv", progress=False)


def saved(model, tmp_path):
    path = tmp_path / "model.dmran"
    model.save(path)
    return path.read_bytes()


def polars(events):
    return pytest.importorskip("polars").DataFrame(events)


def pandas(events):
    pytest.importorskip("pyarrow")
    return pytest.importorskip("pandas").DataFrame(events)


def pyarrow(events):
    return pytest.importorskip("pyarrow").table(events)


def chunked(events):
    table = pyarrow(events)
    return pytest.importorskip("pyarrow").concat_tables([table.slice(0, 100), table.slice(100)])


def duckdb(events):
    duckdb = pytest.importorskip("duckdb")
    log = pyarrow(events)  # noqa: F841, found by its name
    return duckdb.sql("select * from log")


def numpy(events):
    return {name: np.array(values) for name, values in events.items()}


def objects(events):
    return {name: np.array(values, dtype=object) for name, values in events.items()}


def categorical(events):
    frame = pandas(events)
    return frame.assign(user=frame.user.astype("category"), item=frame.item.astype("category"))


def polars_dates(events):
    import polars as pl

    return polars(events).with_columns(pl.from_epoch("timestamp", time_unit="s"))


def pandas_dates(events):
    import pandas as pd

    return pandas(events).assign(timestamp=lambda df: pd.to_datetime(df.timestamp, unit="s", utc=True))


def numpy_dates(events):
    return {**numpy(events), "timestamp": np.array(events["timestamp"]).astype("M8[s]").astype("M8[ms]")}


def datetimes(events):
    utc = datetime.timezone.utc
    times = [datetime.datetime.fromtimestamp(time, utc) for time in events["timestamp"]]
    return {**objects(events), "timestamp": np.array(times, dtype=object)}


KINDS = [polars, pandas, pyarrow, chunked, duckdb, numpy, objects, categorical, polars_dates, pandas_dates, numpy_dates, datetimes]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_the_model_is_the_program_s_from_every_kind_of_table(kind, events, program_model, tmp_path):
    model = fitted(kind(events))
    assert saved(model, tmp_path) == program_model
    table = model.recommend(["u00"], k=3).to_pydict()
    assert table["user"] == ["u00"] * 3 and all(isinstance(item, int) for item in table["item"])


def test_a_path_gives_the_program_s_model_too(csv, program_model, tmp_path, monkeypatch):
    monkeypatch.chdir(csv.parent)
    assert saved(dmran.DMRAN(**SETTINGS).fit("log.csv", progress=False), tmp_path) == program_model
    assert saved(dmran.DMRAN(**SETTINGS).fit(["log.csv"], progress=False), tmp_path) == program_model


def test_pandas_without_pyarrow(events, program_model, tmp_path, monkeypatch):
    frames = [pandas(events), categorical(events), pandas_dates(events)]
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    for frame in frames:
        assert saved(fitted(frame), tmp_path) == program_model
    table = fitted(frames[0]).recommend(["u00"], k=2).to_pandas()
    assert list(table.columns) == ["user", "item", "score", "rank"] and len(table) == 2


def test_columns_by_their_names_are_the_program_s_flags(events, program, csv, tmp_path):
    import subprocess

    out = tmp_path / "named.dmran"
    flags = ["--category-column", "none", "--d", "8", "--epochs", "1", "--user-column", "user"]
    subprocess.run([program, "train", csv.name, *flags, "-q", "--out", out], cwd=csv.parent, check=True, capture_output=True)
    model = dmran.DMRAN(d=8, epochs=1).fit(numpy(events), user="user", category="none", name="log.csv", progress=False)
    assert saved(model, tmp_path) == out.read_bytes()
    assert model.card["command"] == " ".join(["dmran train log.csv", *flags])


def test_ids_come_back_as_they_were(events):
    text = {**numpy(events), "item": np.array([f"i{item}" for item in events["item"]])}
    numbers = {**numpy(events), "user": np.array([int(user[1:]) for user in events["user"]], dtype=np.uint16)}
    model = fitted(text)
    assert model.items[0] == "i100" and model.users[0] == "u00"
    assert model.recommend("u00", k=1).to_pydict()["item"][0].startswith("i1")
    model = fitted(numbers)
    assert sorted(model.users) == list(range(40)) and sorted(model.items) == list(range(100, 125))
    table = model.recommend([3, 4], k=2).to_pydict()
    assert table["user"] == [3, 3, 4, 4] and table["rank"] == [1, 2, 1, 2]


def test_results_are_tables_for_everybody(model):
    table = model.recommend(["u01", "u02"], k=3)
    assert table.shape == (6, 4) and len(table) == 6 and table.column_names == ["user", "item", "score", "rank"]
    rows = table.to_pylist()
    assert rows[0]["rank"] == 1 and rows[0]["user"] == "u01"
    pl, pa = pytest.importorskip("polars"), pytest.importorskip("pyarrow")
    assert table.to_polars().rows() == pl.DataFrame(table).rows() == pl.DataFrame(pa.table(table)).rows()
    assert table.to_pandas().to_dict("list") == table.to_pydict() == table.to_pyarrow().to_pydict()
    assert table.to_pyarrow().schema.field("score").type == pa.float32()


@pytest.mark.parametrize(
    "data, error, part",
    [
        ({"who": ["a"], "item": ["b"]}, KeyError, "no column for the user"),
        ({"user": np.array(["a"]), "item": np.array([1.5])}, ValueError, "1.5"),
        ({"user": np.array(["a", None], dtype=object), "item": np.array(["b", "c"])}, ValueError, "missing"),
        ({"user": ["a", "b"], "item": ["b"]}, ValueError, "length"),
        ({"user": np.zeros((2, 2)), "item": np.zeros(2)}, ValueError, "one dimension"),
        ({"user": [True], "item": [1]}, TypeError, "bools"),
        ({"user": [], "item": []}, ValueError, "empty"),
        (3, TypeError, "no table"),
        ([3], TypeError, "paths"),
        ("nowhere.csv", FileNotFoundError, "nowhere.csv"),
    ],
)
def test_what_is_wrong_with_a_table_is_said(data, error, part):
    with pytest.raises(error, match=part):
        dmran.DMRAN().fit(data, progress=False)


def test_a_named_column_that_is_not_there_is_a_key_error(arrays):
    with pytest.raises(KeyError) as error:
        dmran.DMRAN().fit(arrays, user="customer", progress=False)
    assert "customer" in str(error.value) and "timestamp" in str(error.value) and "user=" in str(error.value)
