"""How much of what was paid comes back where a finding is confirmed: seldom the whole bill."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["WHOLE", "Recovery", "learn_recovery"]

_BANDS = 5
# A band's own share counts as much as the overall one when it has this many cases.
_PRIOR_CASES = 20.0
_LEAST_CASES = 10


@dataclass(frozen=True, eq=False)
class Recovery:
    """The share of the money paid that outcomes confirm, by amount paid.

    `amounts` ascend and `shares` belong to them; in between, shares are joined over the logarithm of the amount.
    `cases` is how many outcomes they were learned from (0: nothing is known, and the whole bill is at stake).
    """

    amounts: np.ndarray
    shares: np.ndarray
    cases: int = 0

    def at_stake(self, paid: np.ndarray) -> np.ndarray:
        """Money that could come back if the suspicion holds, for money paid, in the payer's currency."""
        share = np.interp(np.log(np.maximum(paid, 1.0)), np.log(np.maximum(self.amounts, 1.0)), self.shares)
        return np.asarray(np.maximum(paid, 0.0) * share)

    def as_dict(self) -> dict[str, Any]:
        """The shares as JSON types, as `from_dict` reads them."""
        return {"amounts": self.amounts.tolist(), "shares": self.shares.tolist(), "cases": self.cases}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Recovery:
        """The shares that `as_dict` wrote."""
        return cls(np.array(plain["amounts"]), np.array(plain["shares"]), int(plain["cases"]))


WHOLE = Recovery(np.array([1.0]), np.array([1.0]))


def learn_recovery(paid: np.ndarray, recovered: np.ndarray, labels: np.ndarray) -> Recovery:
    """Shares learned from the confirmed cases whose amount is known; with fewer than ten, the whole bill.

    Each of five bands of amount has its own share, drawn towards the overall one where it has few cases. An outcome
    that confirms more than was paid (a bill that the patient shared) counts as all of it.
    """
    known = (labels == 1) & np.isfinite(recovered) & (recovered > 0) & (paid > 0)
    if known.sum() < _LEAST_CASES:
        return WHOLE
    own, back = paid[known], np.minimum(recovered[known], paid[known])
    overall = back.sum() / own.sum()
    parts = np.array_split(np.argsort(own, kind="stable"), _BANDS)
    shares = [(back[p].sum() / own[p].sum() * len(p) + overall * _PRIOR_CASES) / (len(p) + _PRIOR_CASES) for p in parts]
    middles = [float(np.exp(np.log(np.maximum(own[p], 1.0)).mean())) for p in parts]
    return Recovery(np.array(middles), np.array(shares), int(known.sum()))
