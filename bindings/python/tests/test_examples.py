"""The examples run; their functions do on plain batches what they are for in a cluster."""

import runpy
import sys
import types
from pathlib import Path

import pytest

import dmran

EXAMPLES = Path(__file__).parents[1] / "examples"


def example(name):
    return types.SimpleNamespace(**runpy.run_path(str(EXAMPLES / name)))


def test_from_pandas(tmp_path, monkeypatch, capsys):
    pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["from_pandas.py"])
    example("from_pandas.py")
    out = capsys.readouterr().out
    assert "test AUC" in out and "stranger" in out and (tmp_path / "shop.dmran").exists()


def test_batches_of_a_cluster(model, events, tmp_path):
    pa = pytest.importorskip("pyarrow")
    batches = example("batches.py")
    path = str(tmp_path / "shop.dmran")
    model.save(path)
    want = dmran.load(path).recommend_histories(pa.table(events), k=3).to_pydict()
    log = pa.table(events)
    users = sorted(set(events["user"]))
    halves = [log.filter(pa.compute.is_in(log["user"], pa.array(part))) for part in (users[:20], users[20:])]
    spark = [batch for half in halves for batch in batches.map_in_arrow(iter(half.to_batches(50)), path, 3)]
    assert pa.Table.from_batches(spark).to_pydict() == want
    assert list(batches.map_in_arrow(iter([]), path)) == []
    worker = batches.MapBatches(path, 3)
    assert pa.concat_tables([worker(half) for half in halves]).to_pydict() == want


def test_trackers(arrays, monkeypatch):
    logged = []
    mlflow = types.SimpleNamespace(log_metrics=lambda values, step: logged.append((step, values)))
    monkeypatch.setitem(sys.modules, "mlflow", mlflow)
    trackers = example("trackers.py")
    dmran.DMRAN(d=8, epochs=2).fit(arrays, progress=False, callback=trackers.mlflow_callback())
    assert [step for step, _ in logged] == [1, 2] and "ndcg_at_10" in logged[0][1]
    written = []
    writer = types.SimpleNamespace(add_scalar=lambda *of: written.append(of), flush=lambda: None)
    board = types.SimpleNamespace(SummaryWriter=lambda folder: writer)
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", board)
    monkeypatch.setitem(sys.modules, "torch", types.ModuleType("torch"))
    monkeypatch.setitem(sys.modules, "torch.utils", types.ModuleType("torch.utils"))
    trackers.tensorboard_callback("runs")({"epoch": 3, "loss": 0.5})
    assert written == [("loss", 0.5, 3)]
    stop = trackers.until("auc", patience=1)
    assert stop({"auc": 0.6}) and not stop({"auc": 0.5})
