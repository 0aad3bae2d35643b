"""Tables of any kind as the extension takes them, and ids of any kind as text."""

from __future__ import annotations

import datetime
import os

import numpy as np

from ._dmran import Scorer


def source(data):
    """A list of paths, an object that speaks the Arrow PyCapsule interface, or a dict of columns."""
    if isinstance(data, (str, os.PathLike)):
        return [os.fspath(data)]
    if isinstance(data, (list, tuple)):
        if data and all(isinstance(path, (str, os.PathLike)) for path in data):
            return [os.fspath(path) for path in data]
        raise TypeError("a list of paths is needed, or a table: this list holds something else")
    if isinstance(data, dict):
        return {str(name): column(values) for name, values in data.items()}
    if hasattr(data, "__arrow_c_stream__") and not _is_pandas_without_arrow(data):
        return data
    if hasattr(data, "columns") and hasattr(data, "to_numpy"):  # pandas without pyarrow
        return {str(name): column(data[name]) for name in data.columns}
    for name in ("to_arrow_table", "fetch_arrow_table", "arrow"):  # DuckDB before it spoke the interface
        if hasattr(data, name):
            return getattr(data, name)()
    raise TypeError(
        f"{type(data).__name__} is no table: a path, a list of paths, a dict of columns, or anything that speaks Arrow "
        "(polars, pyarrow, pandas, DuckDB) is needed"
    )


def _is_pandas_without_arrow(data):
    if not type(data).__module__.startswith("pandas"):
        return False
    try:
        import pyarrow  # noqa: F401
    except ImportError:
        return True
    return False


def column(values):
    """A column as int64, float64, a pair of times and their unit, or a list of texts."""
    kind = getattr(values, "dtype", None)
    if getattr(kind, "tz", None) is not None:
        values = values.dt.tz_convert("UTC").dt.tz_localize(None)
    elif getattr(kind, "name", None) == "category":
        values = values.astype(kind.categories.dtype) if not values.isna().any() else values.astype(object)
    array = np.asarray(values)
    if array.ndim != 1:
        raise ValueError(f"a column has one dimension, not {array.ndim}")
    if array.dtype.kind == "O":
        array = _unboxed(array)
    match array.dtype.kind:
        case "i" | "u" if not (array.dtype == np.uint64 and array.size and array.max() > np.iinfo(np.int64).max):
            return np.ascontiguousarray(array, dtype=np.int64)
        case "f":
            return np.ascontiguousarray(array, dtype=np.float64)
        case "M":
            unit = np.datetime_data(array.dtype)[0]
            if unit not in ("s", "ms", "us", "ns"):
                array, unit = array.astype("M8[s]"), "s"
            return np.ascontiguousarray(array).view(np.int64), unit
        case "b":
            raise TypeError("a column of bools is neither ids nor times")
    return [None if value is None or value != value else str(value) for value in array.tolist()]


def _unboxed(array):
    """Objects as the plain values that they all are, if they are."""
    present = [value for value in array.tolist() if value is not None and value == value]
    if not present:
        return array
    if all(isinstance(value, (int, np.integer)) and not isinstance(value, bool) for value in present):
        if len(present) == len(array) and all(-(2**63) <= value < 2**63 for value in present):
            return array.astype(np.int64)
    elif all(isinstance(value, (datetime.date, np.datetime64)) for value in present):
        naive = [_naive(value) for value in array.tolist()]
        return np.array(naive, dtype="M8[us]")
    return array


def _naive(value):
    if isinstance(value, datetime.datetime) and value.tzinfo is not None:
        return value.astimezone(datetime.timezone.utc).replace(tzinfo=None)
    return value


def ids(values, what):
    """Ids as text: of a list, an array, a Series, an Arrow array, or one id alone."""
    if isinstance(values, (str, bytes, int, np.integer)):
        values = [values]
    elif hasattr(values, "to_list"):
        values = values.to_list()
    elif hasattr(values, "to_pylist"):
        values = values.to_pylist()
    elif hasattr(values, "tolist"):
        values = values.tolist()
    return [identity(value, what) for value in values]


def identity(value, what):
    """One id as text."""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool):
        return str(int(value))
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    raise TypeError(f"{value!r} is no id of {what}: a text or a whole number is needed")


def moment(value):
    """A moment in seconds since 1970; of dates without a zone UTC is taken."""
    if value is None:
        return None
    if isinstance(value, datetime.datetime):
        if value.tzinfo is None:
            value = value.replace(tzinfo=datetime.timezone.utc)
        return int(value.timestamp() // 1)
    if isinstance(value, datetime.date):
        return int(datetime.datetime(value.year, value.month, value.day, tzinfo=datetime.timezone.utc).timestamp())
    if isinstance(value, np.datetime64):
        return int(value.astype("M8[s]").astype(np.int64))
    if isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool):
        return int(value // 1)
    raise TypeError(f"{value!r} is no moment: seconds since 1970 or a datetime is needed")


def history(events):
    """Names and times of a history: ids, or pairs of an id and a time."""
    if hasattr(events, "tolist"):
        events = events.tolist()
    events = list(events)
    timed = [isinstance(event, (tuple, list)) for event in events]
    if not any(timed):
        return ids(events, "items"), []
    if not all(timed):
        raise ValueError("give a time to all events of a history or to none")
    names = [identity(item, "items") for item, _ in events]
    return names, [moment(time) for _, time in events]


def scorer_of(origin, lean):
    """For pickle: a scorer of a path (mapped) or of bytes."""
    if isinstance(origin, bytes):
        return Scorer.from_bytes(origin, lean=lean)
    return Scorer(origin, mmap=True, lean=lean)
