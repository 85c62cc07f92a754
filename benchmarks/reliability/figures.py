"""Figures as they are printed, and the verdict on them."""

from collections.abc import Sequence


def percentile(values: Sequence[float], share: float) -> float:
    """The value that this share of the values does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")


class Verdict:
    """What was wanted, and whether each of it was met."""

    def __init__(self) -> None:
        self._missed: list[str] = []

    def want(self, text: str, *, met: bool) -> None:
        """Print a figure with its bound."""
        print(f"  {'met   ' if met else 'MISSED'}  {text}")
        if not met:
            self._missed.append(text)

    def close(self) -> int:
        """Print the last line; return the exit code."""
        print(f"verdict: {'missed: ' + '; '.join(self._missed) if self._missed else 'met'}")
        return int(bool(self._missed))
