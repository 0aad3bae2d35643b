"""Recommendations in a cluster: the functions that Spark and Ray ask for. Both get all events of a user in one batch.

Spark:

    schema = "user string, item string, score float, rank long"
    log.groupBy("user").applyInArrow(lambda table: advise(table, "/models/shop.dmran"), schema)      # one group a user
    log.repartition("user").mapInArrow(lambda batches: map_in_arrow(batches, "/models/shop.dmran"), schema)

Ray:

    log.repartition(16, keys=["user"]).map_batches(MapBatches, fn_constructor_args=["/models/shop.dmran"],
                                                   batch_format="pyarrow", batch_size=None, concurrency=4)

Each process maps the model: its tables are in memory once for all processes of a machine.
"""

import functools

import pyarrow as pa

import dmran


@functools.cache
def model(path):
    return dmran.load(path, mmap=True)


def advise(table, path, k=10):
    """The best items for all users of a table, as a table."""
    return model(path).recommend_histories(table, k=k).to_pyarrow()


def map_in_arrow(batches, path, k=10):
    """For Spark's mapInArrow: an iterator over the record batches of a partition."""
    batches = list(batches)
    if batches:
        yield from advise(pa.Table.from_batches(batches), path, k).to_batches()


class MapBatches:
    """For Ray's map_batches: made once a worker."""

    def __init__(self, path, k=10):
        self.model, self.k = dmran.load(path, mmap=True), k

    def __call__(self, batch):
        return self.model.recommend_histories(batch, k=self.k).to_pyarrow()
