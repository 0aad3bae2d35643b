"""Next-item recommendation on plain CPUs.

>>> import dmran
>>> model = dmran.DMRAN(epochs=2)
>>> model.fit(df, user="user", item="item", time="timestamp")   # polars, pandas, pyarrow, DuckDB, a dict, a path
>>> model.recommend(["ann", "bob"], k=10).to_pandas()           # user, item, score, rank
>>> model.save("shop.dmran"); model = dmran.load("shop.dmran")

:class:`DMRAN` is the model; :class:`Model` has its rivals too (``Model(kind="sasrec")``); :class:`Scorer` serves a model file to
many threads or processes, numpy in and out.
"""

from ._dmran import Scorer, Table, VERSION as __version__
from ._model import DMRAN, Model, load

__all__ = ["DMRAN", "Model", "Scorer", "Table", "load", "__version__"]
