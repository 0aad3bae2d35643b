"""Recommendations from Python with the standard library alone: ctypes_example.py LIBRARY MODEL ITEM ITEM ..."""
import ctypes as c
import sys
import time

library, model, *history = sys.argv[1:]
dmran = c.CDLL(library)
dmran.dmran_last_error.restype = c.c_char_p

def check(status):
    if status != 0:
        sys.exit(dmran.dmran_last_error().decode())

scorer, user = c.c_void_p(), c.c_void_p()
check(dmran.dmran_scorer_load(model.encode(), c.byref(scorer)))
check(dmran.dmran_user_new(scorer, c.byref(user)))
now, n, k = int(time.time()), len(history), 5
ids, times = (c.c_char_p * n)(*(i.encode() for i in history)), (c.c_int64 * n)(*[now] * n)
check(dmran.dmran_user_encode_ids(user, ids, times, c.c_size_t(n), c.c_int64(now), None))
items, scores, found = (c.c_uint32 * k)(), (c.c_float * k)(), c.c_size_t()
check(dmran.dmran_user_top_k(user, c.c_size_t(k), None, c.c_size_t(0), items, scores, c.byref(found)))
name = c.create_string_buffer(256)
for item, score in list(zip(items, scores))[: found.value]:
    check(dmran.dmran_scorer_item_id(scorer, item, name, c.c_size_t(len(name)), None))
    print(name.value.decode(), f"{score:.9g}")
