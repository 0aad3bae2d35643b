"""The package's private half in Rust; `dmran` is what to use."""

from os import PathLike
from typing import Any, Callable, Optional

import numpy as np
from numpy.typing import NDArray

VERSION: str

class Table:
    """Results by columns. Speaks the Arrow PyCapsule interface: `polars.DataFrame(table)`, `pyarrow.table(table)`."""

    shape: tuple[int, int]
    column_names: list[str]
    def __len__(self) -> int: ...
    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any: ...
    def to_pandas(self) -> Any:
        """As a `pandas.DataFrame`; without pyarrow as well."""
    def to_polars(self) -> Any:
        """As a `polars.DataFrame`."""
    def to_pyarrow(self) -> Any:
        """As a `pyarrow.Table`."""
    def to_pydict(self) -> dict[str, list[Any]]:
        """As a dict of lists, one a column."""
    def to_pylist(self) -> list[dict[str, Any]]:
        """As a list of dicts, one a row."""

class Scorer:
    """A model for services: items by their indices, numpy arrays without copies, any number of threads.

    With `mmap` the tables are mapped: processes share them, and pickle passes on the path alone. With `lean` nothing is
    computed ahead for the items: half the memory, slower encoding, the same scores.

    Raises FileNotFoundError, or ValueError for what is no model file.
    """

    items: list[str]
    def __init__(self, path: str | PathLike[str], *, mmap: bool = False, lean: bool = False) -> None: ...
    @staticmethod
    def from_bytes(data: bytes, *, lean: bool = False) -> Scorer:
        """From the bytes of a model file."""
    def __len__(self) -> int: ...
    def find(self, ids: list[str]) -> NDArray[np.uint32]:
        """The indices of items' ids, `[ids]`. KeyError names one that the model does not know."""
    def score(
        self,
        history: NDArray[np.uint32],
        candidates: NDArray[np.uint32],
        *,
        times: Optional[NDArray[np.int64]] = None,
        now: Optional[int] = None,
        out: Optional[NDArray[np.float32]] = None,
    ) -> NDArray[np.float32]:
        """Scores (eq 17) of `candidates` `[n]` for a `history` `[events]`, oldest first: `[n]`, into `out` where it is given.

        `times` `[events]` and `now` are seconds since 1970; `now` is the last time unless it is given. Arrays must be
        contiguous. ValueError for an index that is no item, or lengths that do not fit.
        """
    def top_k(
        self,
        history: NDArray[np.uint32],
        k: int = 10,
        *,
        times: Optional[NDArray[np.int64]] = None,
        now: Optional[int] = None,
        filter_viewed: bool = True,
        exclude: Optional[NDArray[np.uint32]] = None,
    ) -> tuple[NDArray[np.uint32], NDArray[np.float32]]:
        """The best `k` items for a history and their scores, best first: `[k]` each (fewer where there are not so many)."""

class Fitted:
    ids: str
    threads: int
    has_user_vectors: bool
    @staticmethod
    def load(path: str, mmap: bool, ids: str, threads: int) -> Fitted: ...
    @staticmethod
    def from_state(data: bytes, state: Optional[dict[str, Any]], ids: str, threads: int) -> Fitted: ...
    def state(self) -> Optional[dict[str, Any]]: ...
    def to_bytes(self) -> bytes: ...
    def save(self, path: str) -> None: ...
    def card(self) -> dict[str, Any]: ...
    def items(self) -> list[Any]: ...
    def users(self) -> list[Any]: ...
    def recommend(
        self,
        users: Optional[list[str]],
        k: int,
        filter_viewed: bool,
        items: Optional[list[str]],
        exclude: list[str],
        now: Optional[int],
    ) -> tuple[Table, int]: ...
    def recommend_histories(
        self,
        source: Any,
        name: str,
        columns: str,
        k: int,
        filter_viewed: bool,
        items: Optional[list[str]],
        exclude: list[str],
        now: Optional[int],
    ) -> tuple[Table, int, list[str]]: ...
    def score(
        self, history: list[str], times: list[int], candidates: list[str], now: Optional[int]
    ) -> NDArray[np.float32]: ...
    def explain(
        self, user: Optional[str], history: list[str], times: list[int], item: str, now: Optional[int]
    ) -> dict[str, Any]: ...
    def item_vectors(self) -> NDArray[np.float32]: ...
    def item_biases(self) -> Optional[NDArray[np.float32]]: ...
    def user_vectors(
        self, source: Any, columns: str
    ) -> tuple[NDArray[np.float32], list[Any], list[str]]: ...
    def similar_items(self, item: str, k: int) -> Table: ...
    def evaluate(self, source: Any, name: str, changes: str) -> tuple[str, list[str]]: ...

def fit(
    preset: str,
    kind: str,
    changes: str,
    source: Any,
    name: str,
    run: Optional[str],
    allow: list[str],
    max_memory: Optional[str],
    on_step: Callable[[int, int, int, int, float], None],
    on_epoch: Callable[[str], bool],
    on_note: Callable[[bool, str], None],
) -> tuple[Optional[Fitted], str]: ...
def rivals(preset: str, changes: str, source: Any, name: str) -> str: ...
def place(key: str, value: str) -> str: ...
def check(preset: str, kind: str, changes: str) -> None: ...
def all_settings(preset: str, kind: str, changes: str) -> str: ...
