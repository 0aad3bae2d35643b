import datetime
from collections.abc import Iterable, Sequence
from os import PathLike
from typing import Any, Callable, Optional, TypeVar, Union

import numpy as np
from numpy.typing import NDArray

from ._dmran import Scorer, Table

Self = TypeVar("Self", bound="Model")
Id = Union[str, int]
Ids = Union[Id, Iterable[Any]]
Moment = Union[int, float, datetime.datetime, datetime.date, np.datetime64]
History = Union[Sequence[Id], Sequence[tuple[Id, Moment]], NDArray[Any]]
# A table: anything that speaks the Arrow PyCapsule interface, a dict of arrays, a pandas DataFrame; a path or paths.
Data = Any

class Model:
    report_: dict[str, Any]
    def __init__(self, kind: str = "dmran", *, preset: str = "everyday", **settings: Any) -> None: ...
    def get_params(self, deep: bool = True) -> dict[str, Any]: ...
    def set_params(self: Self, **params: Any) -> Self: ...
    def all_params(self) -> dict[str, Any]: ...
    def fit(
        self: Self,
        data: Data,
        *,
        user: Optional[str] = None,
        item: Optional[str] = None,
        time: Optional[str] = None,
        category: Optional[str] = None,
        run: Optional[str | PathLike[str]] = None,
        callback: Optional[Callable[[dict[str, Any]], Optional[bool]]] = None,
        progress: Optional[bool] = None,
        name: str = "table",
        allow: Iterable[str] = (),
        max_memory: Optional[str] = None,
    ) -> Self: ...
    def recommend(
        self,
        users: Optional[Ids] = None,
        k: int = 10,
        *,
        filter_viewed: bool = True,
        items: Optional[Ids] = None,
        exclude: Ids = (),
        now: Optional[Moment] = None,
    ) -> Table: ...
    def recommend_histories(
        self,
        data: Data,
        k: int = 10,
        *,
        user: Optional[str] = None,
        item: Optional[str] = None,
        time: Optional[str] = None,
        filter_viewed: bool = True,
        items: Optional[Ids] = None,
        exclude: Ids = (),
        now: Optional[Moment] = None,
    ) -> Table: ...
    def score(self, history: History, candidates: Ids, *, now: Optional[Moment] = None) -> NDArray[np.float32]: ...
    def explain(
        self,
        user: Optional[Id] = None,
        item: Optional[Id] = None,
        *,
        history: Optional[History] = None,
        now: Optional[Moment] = None,
    ) -> dict[str, Any]: ...
    def similar_items(self, item: Id, k: int = 10) -> Table: ...
    def evaluate(
        self,
        data: Data,
        *,
        user: Optional[str] = None,
        item: Optional[str] = None,
        time: Optional[str] = None,
        name: str = "table",
        **settings: Any,
    ) -> dict[str, Any]: ...
    def evaluate_split(
        self, test: Data, *, k: int = 10, user: str = "user", item: str = "item", filter_viewed: bool = True
    ) -> dict[str, float]: ...
    @property
    def items(self) -> list[Id]: ...
    @property
    def users(self) -> list[Id]: ...
    @property
    def item_vectors(self) -> NDArray[np.float32]: ...
    @property
    def item_biases(self) -> Optional[NDArray[np.float32]]: ...
    def user_vectors(
        self,
        data: Optional[Data] = None,
        *,
        user: Optional[str] = None,
        item: Optional[str] = None,
        time: Optional[str] = None,
    ) -> tuple[list[Id], NDArray[np.float32]]: ...
    @property
    def card(self) -> dict[str, Any]: ...
    def save(self, path: str | PathLike[str]) -> None: ...
    def scorer(self) -> Scorer: ...

class DMRAN(Model):
    def __init__(self, *, preset: str = "everyday", **settings: Any) -> None: ...

def load(path: str | PathLike[str], *, mmap: bool = False, ids: str = "str", threads: int = 0) -> DMRAN: ...
