"""The models: settings by keyword, fit, recommend, measure, save."""

from __future__ import annotations

import json
import os
import warnings

from . import _dmran, _tables
from ._progress import progress as _progress

_COLUMNS = ("user", "item", "time", "category")


class Model:
    """A recommender of any kind, with the settings of ``dmran train`` by keyword.

    Parameters
    ----------
    kind : str
        ``"dmran"``, or a rival: ``"sasrec"``, ``"atrank"``, ``"bi-lstm"``, ``"bi-lstm-attention"``, ``"cnn-pooling"``,
        ``"bpr-mf"``, ``"most-popular"``. Rivals are trained and measured (:attr:`report_`); only dmran recommends, is
        saved and explains.
    preset : str
        What the settings start from: ``"everyday"``, ``"balanced"``, ``"auc"``, ``"paper"`` or ``"large-batch"``.
    **settings
        Any setting of the TOML file by its name: ``epochs=3``, ``d=64``, ``loss="sampled-softmax"``, ``head="vanilla"``,
        ``seed=7``, ``threads=2``, ``protocol="time"``, ``k=[5, 10]``, ``k_core_users=5``. ``dmran train --print-config``
        lists them with what they do.

    Raises
    ------
    ValueError
        For a setting that does not exist (it names what is spelled alike) or is out of its range.

    Attributes
    ----------
    report_ : dict
        After :meth:`fit`: ``epochs`` (a dict an epoch: ``epoch, lr, loss, auc, hr@10, ndcg@10, seconds, best``),
        ``best_epoch``, ``test`` and ``rivals`` (figures on the held out events, each ``mean, se, n``), ``log``,
        ``settings`` (TOML), ``command`` (the program's command that makes the same model file).
    """

    def __init__(self, kind="dmran", *, preset="everyday", **settings):
        self._kind = str(kind)
        self._preset = str(preset)
        self._settings = {}
        self._fitted = None
        self._columns = {}
        self.set_params(**settings)

    # Settings ----------------------------------------------------------------------------------------------------------

    def get_params(self, deep=True):
        """The settings that were given, as a dict; ``Model(**params)`` makes the same model again."""
        return {"kind": self._kind, "preset": self._preset, **self._settings}

    def set_params(self, **params):
        """Changes settings; checked as by the constructor. Returns the model itself."""
        kind = str(params.pop("kind", self._kind))
        preset = str(params.pop("preset", self._preset))
        settings = {**self._settings, **params}
        _dmran.check(preset, kind, json.dumps(_by_section(settings)))
        self._kind, self._preset, self._settings = kind, preset, settings
        return self

    def all_params(self):
        """All settings in force, by the sections of the TOML file."""
        return json.loads(_dmran.all_settings(self._preset, self._kind, self._changes({})))

    def _changes(self, columns):
        sections = _by_section(self._settings)
        if columns:
            data = sections.setdefault("data", {})
            data["columns"] = {**data.get("columns", {}), **columns}
        return json.dumps(sections)

    def __repr__(self):
        defaults = {"kind": "dmran", "preset": "everyday"}
        given = ", ".join(f"{k}={v!r}" for k, v in self.get_params().items() if defaults.get(k) != v)
        return f"{type(self).__name__}({given})"

    # Training ----------------------------------------------------------------------------------------------------------

    def fit(
        self,
        data,
        *,
        user=None,
        item=None,
        time=None,
        category=None,
        run=None,
        callback=None,
        progress=None,
        name="table",
        allow=(),
        max_memory=None,
    ):
        """Trains on a log of events, measures on its held out ones, and keeps the best epoch.

        Parameters
        ----------
        data
            A table of events (anything that speaks Arrow: polars, pyarrow, pandas, DuckDB; a dict of arrays; pandas without
            pyarrow as well), a path, or a list of paths. Ids are texts or whole numbers, Categoricals too; times are numbers
            (``time_unit=`` says in which unit, seconds by default), datetimes or dates.
        user, item, time, category : str, optional
            The columns' names; without, the usual names are looked for. ``"none"`` does without a time or category. Without
            times the order of the rows counts.
        run : path, optional
            A run folder: checkpoints go there, and the same call goes on where the run stopped.
        callback : callable, optional
            Called with a dict after each epoch, on this thread. Where it returns ``False`` the training ends, and the best
            epoch so far is taken.
        progress : bool, optional
            Whether to show a bar (by tqdm, if it is there) or lines; by default on a terminal and in notebooks.
        name : str
            What messages and the model's card call a table.
        allow : list of str
            What may differ from the run's beginning: ``"epochs"``, ``"patience"``, ``"simd"``.
        max_memory : str, optional
            Runs that would take more are refused: ``"2GiB"``.

        Returns
        -------
        The model itself.

        Raises
        ------
        KeyError
            A column that is not there; the message names those that are.
        FileNotFoundError
            A path that is not there.
        ValueError
            Rows that are malformed, a log from which nothing can be learned, a run folder of another run.
        KeyboardInterrupt
            Within a second of Ctrl-C. With ``run`` a checkpoint is left, and the same call goes on from it.

        Warns
        -----
        UserWarning
            For whatever the program would print as a note.

        The GIL is released: other threads go on, and may train as well.
        """
        columns = _columns(user, item, time, category)
        changes = self._changes(columns)
        source = _tables.source(data)
        name = str(name)
        if self._kind == "most-popular":
            self.report_ = json.loads(_dmran.rivals(self._preset, changes, source, name))
            self._fitted = None
            return self
        shown = _progress(progress)

        def on_epoch(text):
            report = json.loads(text)
            shown.epoch(report)
            return callback is None or callback(report) is not False

        def on_note(matters, text):
            if matters:
                warnings.warn(text, stacklevel=3)

        run = None if run is None else os.fspath(run)
        try:
            fitted, report = _dmran.fit(
                self._preset,
                self._kind,
                changes,
                source,
                name,
                run,
                list(allow),
                max_memory,
                shown.step,
                on_epoch,
                on_note,
            )
        finally:
            shown.close()
        self._fitted, self._columns = fitted, columns
        self.report_ = json.loads(report)
        return self

    @property
    def _model(self):
        if self._fitted is None:
            if hasattr(self, "report_"):
                raise ValueError(f"{self._kind} is trained and measured; only dmran recommends, explains and is saved")
            raise ValueError("this model is not fitted: call fit first, or dmran.load a model file")
        return self._fitted

    # Recommending ------------------------------------------------------------------------------------------------------

    def recommend(self, users=None, k=10, *, filter_viewed=True, items=None, exclude=(), now=None):
        """The best ``k`` items for users of the training log.

        Parameters
        ----------
        users : ids, optional
            A list, an array, a Series or one id; all users without.
        k : int
            How many items; fewer come where there are not so many.
        filter_viewed : bool
            Leave out what the user had.
        items : ids, optional
            The only items that may be recommended.
        exclude : ids
            Items that may not be recommended.
        now : number or datetime, optional
            The moment of the recommendation: later events are no history (but viewed). By default each user's last event.

        Returns
        -------
        Table
            Columns ``user``, ``item`` (as they were in the log), ``score`` (float32, eq 17: the higher the likelier) and
            ``rank`` (from 1), user by user, best first. ``.to_pandas()``, ``.to_polars()``, ``.to_pyarrow()``,
            ``.to_pydict()``; or hand it to whatever speaks Arrow.

        Raises
        ------
        KeyError
            Users or items that the model does not know; the message names them.
        ValueError
            A model that was loaded knows no users; ``now`` for a log without times.
        """
        users = None if users is None else _tables.ids(users, "users")
        table, silent = self._model.recommend(users, *self._wish(k, filter_viewed, items, exclude, now))
        _tell_silent(silent)
        return table

    def recommend_histories(
        self,
        data,
        k=10,
        *,
        user=None,
        item=None,
        time=None,
        filter_viewed=True,
        items=None,
        exclude=(),
        now=None,
    ):
        """The best ``k`` items for all users of a table of events, whoever they are.

        Items that the model does not know are left out of the histories, with a warning. The columns' names are those of
        the training unless they are given. Returns and raises as :meth:`recommend`.
        """
        columns = json.dumps({"data": {"columns": self._columns_of(user, item, time)}})
        table, silent, notes = self._model.recommend_histories(
            _tables.source(data), "table", columns, *self._wish(k, filter_viewed, items, exclude, now)
        )
        for note in notes:
            warnings.warn(note, stacklevel=2)
        _tell_silent(silent)
        return table

    @staticmethod
    def _wish(k, filter_viewed, items, exclude, now):
        items = None if items is None else _tables.ids(items, "items")
        k = int(k)
        if k < 0:
            raise ValueError(f"k is {k}; it must not be negative")
        return k, bool(filter_viewed), items, _tables.ids(exclude, "items"), _tables.moment(now)

    def _columns_of(self, user, item, time):
        return {**self._columns, "category": "none", **_columns(user, item, time, None)}

    def score(self, history, candidates, *, now=None):
        """Scores (eq 17) of candidates for a history.

        Parameters
        ----------
        history : list
            Item ids, oldest first, or pairs ``(item, time)`` in any order.
        candidates : ids
        now : number or datetime, optional
            The moment; by default that of the last event.

        Returns
        -------
        numpy.ndarray
            float32, one for each candidate; NaN for items that the model does not know.
        """
        names, times = _tables.history(history)
        return self._model.score(names, times, _tables.ids(candidates, "items"), _tables.moment(now))

    def explain(self, user=None, item=None, *, history=None, now=None):
        """Why a user of the training log (or a history, as for :meth:`score`) gets an item.

        Returns
        -------
        dict
            ``score``, ``bias``, ``gate`` (floats) and ``events``: a :class:`Table` of ``item``, ``position`` (in the
            history, from 0) and ``share`` (they sum to 1), the largest share first.

        Raises
        ------
        KeyError
            An unknown user or item.
        """
        if item is None or (user is None) == (history is None):
            raise TypeError("explain takes an item, and a user or a history")
        names, times = _tables.history(history) if history is not None else ([], [])
        user = None if user is None else _tables.identity(user, "users")
        return self._model.explain(user, names, times, _tables.identity(item, "items"), _tables.moment(now))

    def similar_items(self, item, k=10):
        """The ``k`` items whose vectors are most like that of ``item`` (cosine).

        Returns
        -------
        Table
            Columns ``item`` and ``score``, best first.
        """
        return self._model.similar_items(_tables.identity(item, "items"), int(k))

    # Measuring ---------------------------------------------------------------------------------------------------------

    def evaluate(self, data, *, user=None, item=None, time=None, name="table", **settings):
        """The figures on a log, as ``dmran evaluate`` has them: each user's last event, or as ``protocol=`` says.

        Parameters
        ----------
        data
            As for :meth:`fit`.
        **settings
            In place of those of the training: ``protocol="time"``, ``k=[5, 10, 20]``, ``rank_users=1000``.

        Returns
        -------
        dict
            ``model`` (figures by name, each ``mean, se, n``), ``rivals``, ``protocol``, ``unknown_items``,
            ``unknown_events``.
        """
        sections = _by_section(settings)
        columns = sections.setdefault("data", {}).setdefault("columns", {})
        columns.update(self._columns)
        columns.update(_columns(user, item, time, None))
        report, notes = self._model.evaluate(_tables.source(data), str(name), json.dumps(sections))
        for note in notes:
            warnings.warn(note, stacklevel=2)
        return json.loads(report)

    def evaluate_split(self, test, *, k=10, user="user", item="item", filter_viewed=True):
        """Ranking metrics on a split of one's own: the model was fitted on the train table, ``test`` holds what is to be
        found. Users and items that the model does not know count as not found.

        Returns
        -------
        dict
            ``hr``, ``recall``, ``precision``, ``ndcg``, ``map``, ``mrr`` at k, means over the users of ``test``, and
            ``users``, how many they are.
        """
        from ._metrics import at_k

        return at_k(self, _tables.source(test), int(k), user, item, filter_viewed)

    # What is in it -----------------------------------------------------------------------------------------------------

    @property
    def items(self):
        """The items' ids, in the order of :attr:`item_vectors`: a list."""
        return self._model.items()

    @property
    def users(self):
        """The ids of the users of the training log: a list."""
        return self._model.users()

    @property
    def item_vectors(self):
        """The items' vectors (eq 1): float32, ``[items, d]``."""
        return self._model.item_vectors()

    @property
    def item_biases(self):
        """What is added to each item's score: float32, ``[items]``; ``None`` for a model without."""
        return self._model.item_biases()

    def user_vectors(self, data=None, *, user=None, item=None, time=None):
        """The vectors of all users of a table of events (without one of the training log), at their last event.

        With the head ``mean`` a user's score of an item is ``user_vector @ item_vector + item_bias``; with other heads, whose
        reading of a history depends on the candidate, the vectors only find candidates worth a look (a warning says so).

        Returns
        -------
        (list, numpy.ndarray)
            The users' ids, and float32 ``[users, d]``; NaN for users without an event that the model knows.
        """
        columns = json.dumps({"data": {"columns": self._columns_of(user, item, time)}})
        fitted = self._model
        if not fitted.has_user_vectors:
            warnings.warn(
                "users' vectors are exact with head=\"mean\" alone: here they only find candidates worth a look", stacklevel=2
            )
        vectors, users, notes = fitted.user_vectors(None if data is None else _tables.source(data), columns)
        for note in notes:
            warnings.warn(note, stacklevel=2)
        return users, vectors

    @property
    def card(self):
        """Where the model comes from: a dict of ``command``, ``config``, ``data_summary``, ``data_hash``, ``seed``,
        ``metrics``, ``created_by``."""
        return self._model.card()

    # Files -------------------------------------------------------------------------------------------------------------

    def save(self, path):
        """Writes the model file, whole or not at all: the file of ``dmran train``. It holds the items, not the users.

        Raises
        ------
        OSError
            If it cannot be written.
        """
        self._model.save(os.fspath(path))

    def scorer(self):
        """A :class:`Scorer` of this model."""
        return _dmran.Scorer.from_bytes(self._model.to_bytes())

    def __getstate__(self):
        state = {k: v for k, v in self.__dict__.items() if k != "_fitted"}
        if self._fitted is not None:
            fitted = self._fitted
            state["_bytes"] = (fitted.to_bytes(), fitted.state(), fitted.ids, fitted.threads)
        return state

    def __setstate__(self, state):
        state = dict(state)
        data = state.pop("_bytes", None)
        self.__dict__.update(state)
        self._fitted = None if data is None else _dmran.Fitted.from_state(*data)


class DMRAN(Model):
    """This project's model: hops of item level attention over a user's history, feature level attention between them.

    Settings, methods and errors are those of :class:`Model`.
    """

    def __init__(self, *, preset="everyday", **settings):
        super().__init__("dmran", preset=preset, **settings)

    def get_params(self, deep=True):
        """The settings that were given, as a dict; ``DMRAN(**params)`` makes the same model again."""
        params = super().get_params(deep)
        del params["kind"]
        return params


def load(path, *, mmap=False, ids="str", threads=0):
    """Reads a model file.

    Parameters
    ----------
    path : path
    mmap : bool
        Map the tables instead of reading them: processes on one machine share them.
    ids : str
        ``"int"`` for items that were whole numbers in the log: the file holds texts.
    threads : int
        Threads for recommending; 0 is one a core.

    Returns
    -------
    DMRAN
        It knows no users: :meth:`Model.recommend_histories` takes their histories.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is no model file, or a damaged one.
    """
    model = DMRAN()
    model._fitted = _dmran.Fitted.load(os.fspath(path), bool(mmap), ids, int(threads))
    return model


def _by_section(settings):
    """Settings by the sections of the TOML file that know them."""
    sections = {}
    for key, value in settings.items():
        if isinstance(value, tuple):
            value = list(value)
        if hasattr(value, "item") and not isinstance(value, (list, dict)):  # a number of numpy's
            value = value.item()
        try:
            text = json.dumps(value)
        except TypeError:
            raise TypeError(f"{key}: a number, a text, a bool or a list of them is needed, not {value!r}") from None
        sections.setdefault(_dmran.place(key, text), {})[key] = value
    return sections


def _columns(*names):
    return {role: str(name) for role, name in zip(_COLUMNS, names) if name is not None}


def _tell_silent(silent):
    if silent:
        warnings.warn(f"{silent} users are left out: they have no event to go by", stacklevel=3)
