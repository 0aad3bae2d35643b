"""What a person sees while a model trains."""

from __future__ import annotations

import sys


class Silent:
    """Shows nothing."""

    def step(self, epoch, epochs, done, samples, loss):
        pass

    def epoch(self, report):
        pass

    def close(self):
        pass


class Bar(Silent):
    """One bar over all epochs, by tqdm: in a notebook its widget."""

    def __init__(self, tqdm):
        self._tqdm = tqdm
        self._bar = None

    def step(self, epoch, epochs, done, samples, loss):
        if self._bar is None:
            self._bar = self._tqdm(total=epochs * samples, unit="sample", unit_scale=True, desc="dmran")
        self._bar.n = (epoch - 1) * samples + done
        self._bar.set_postfix_str(f"epoch {epoch}/{epochs}, loss {loss:.4f}")

    def close(self):
        if self._bar is not None:
            self._bar.close()


class Lines(Silent):
    """A line an epoch on standard error."""

    def epoch(self, report):
        top = f"  HR@10 {report['hr@10']:.4f}  NDCG@10 {report['ndcg@10']:.4f}" if "hr@10" in report else ""
        print(
            f"epoch {report['epoch']:>2}  loss {report['loss']:.4f}  AUC {report['auc']:.4f}{top}"
            f"  {report['seconds']:.1f} s{'  best' if report['best'] else ''}",
            file=sys.stderr,
        )


def progress(wanted):
    """By what was asked for: None is a bar on a terminal or in a notebook where tqdm is there, and nothing elsewhere."""
    if wanted is False:
        return Silent()
    interactive = sys.stderr.isatty() or "ipykernel" in sys.modules
    if wanted is None and not interactive:
        return Silent()
    try:
        from tqdm.auto import tqdm
    except ImportError:
        return Lines() if wanted or interactive else Silent()
    return Bar(tqdm)
