"""What a campaign refuses: a step that its state does not allow, a person who may not decide, a late change."""

from __future__ import annotations

from fraud.errors import InputError
from fraud.review.cases.refusals import Why

__all__ = ["CampaignRefusedError"]


class CampaignRefusedError(InputError):
    """The campaign stays as it is; `why` is for programs, as for cases."""

    def __init__(self, why: Why, message: str) -> None:
        super().__init__(message)
        self.why = why
