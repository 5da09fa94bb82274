"""A simulated payer seen and proved: margins, a page of pictures, and the search for leaks.

`describe` writes the page, `margins` compares with published figures, `leaks` and `shared` look for what would
give the guilty away without any deed.
"""

from fraud.claims.simulation.describing.leaks import Leak, leaks, shared
from fraud.claims.simulation.describing.margins import Margin, margins
from fraud.claims.simulation.describing.page import describe

__all__ = ["Leak", "Margin", "describe", "leaks", "margins", "shared"]
