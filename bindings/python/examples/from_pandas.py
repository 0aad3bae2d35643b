"""From a pandas table to recommendations, in thirty lines.

    pip install dmran pandas pyarrow
    python from_pandas.py [events.csv]
"""

import sys

import pandas as pd

import dmran

if len(sys.argv) > 1:
    events = pd.read_csv(sys.argv[1])
else:
    shelf = ["tea", "cup", "pot", "tin", "jug", "tray", "spoon", "sugar", "cake", "fork"]
    rows = [
        {"user": f"user{u}", "item": shelf[(u + step * (1 + u % 2)) % 10], "time": pd.Timestamp(2024, 1, 1 + step)}
        for u in range(50)
        for step in range(6)
    ]
    events = pd.DataFrame(rows)

model = dmran.DMRAN(epochs=5, d=16, seed=1).fit(events)
print("test AUC %.3f" % model.report_["test"]["AUC, 1 negative"]["mean"])

someone = events.user.iloc[0]
best = model.recommend([someone], k=3).to_pandas()
print(best)
print(model.explain(someone, best.item[0])["events"].to_pandas())
print(model.similar_items(best.item[0], 3).to_pandas())

model.save("shop.dmran")
stranger = events[events.user == someone].assign(user="stranger")
print(dmran.load("shop.dmran").recommend_histories(stranger, k=3).to_pandas())
