"""Numbers that stand for texts, so that texts are compared as fast as numbers.

The texts of rules and of the payer's items are numbered once; those that a request brings are numbered after
them, for that request alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

__all__ = ["NO_TEXT", "Texts"]

# The number of what is not known.
NO_TEXT = 0


class Texts(dict[str | None, int]):
    """The number of each text: the same for the same text, and no other's.

    With `base`, whose numbers stay as they are and which must not grow any more, new texts are numbered after its own.
    """

    def __init__(self, base: Texts | None = None) -> None:
        super().__init__({None: NO_TEXT})
        self._base = base
        self._first = 0 if base is None else base.size
        # The first of all stands for none.
        self._own: list[str] = [""] if base is None else []

    @property
    def size(self) -> int:
        """How many numbers there are."""
        return self._first + len(self._own)

    def __missing__(self, text: str | None) -> int:
        number = None if self._base is None else self._base.get(text)
        if number is None:
            number = self.size
            self._own.append(str(text))
        self[text] = number
        return number

    def numbers(self, texts: Iterable[str | None]) -> np.ndarray:
        """The number of each text."""
        return np.fromiter(map(self.__getitem__, texts), dtype=np.int64)

    def text(self, number: int) -> str:
        """The text that a number stands for; nothing for the number of what is not known."""
        if self._base is not None and number < self._first:
            return self._base.text(number)
        return self._own[number - self._first]

    def mapped(self, function: Callable[[str], str], numbers: np.ndarray) -> np.ndarray:
        """Numbers of what a function makes of texts; it is called once for each different text."""
        made = _Made(lambda number: self[function(self.text(number))])
        return np.fromiter(map(made.__getitem__, numbers.ravel().tolist()), np.int64, numbers.size).reshape(
            numbers.shape
        )

    def objects(self, numbers: np.ndarray) -> np.ndarray:
        """The texts themselves, for what cannot be said of their numbers."""
        objects = np.empty(numbers.size, dtype=object)
        objects[:] = [self.text(number) for number in numbers.ravel().tolist()]
        return objects.reshape(numbers.shape)


class _Made(dict[int, int]):
    """What was made of each number, made when it is first asked for."""

    def __init__(self, make: Callable[[int], int]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, number: int) -> int:
        self[number] = self._make(number)
        return self[number]
