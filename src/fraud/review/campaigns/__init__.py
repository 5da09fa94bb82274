"""Campaigns: providers check themselves, put right what is wrong, and somebody else accepts it.

`Campaigns` is the one way to read and change them; `workflow` holds the steps as plain functions, `findings` counts
what the service itself knows. How campaigns are stored is `fraud.store.campaigns`.
"""

from fraud.review.campaigns.campaigns import Campaigns, campaigns_between
from fraud.review.campaigns.findings import FLAGGED
from fraud.review.campaigns.refusals import CampaignRefusedError
from fraud.review.campaigns.shapes import (
    ACTIONS,
    DAYS,
    DECISIONS,
    Announcement,
    Dossier,
    Overview,
    Plan,
    Standing,
    late,
)
from fraud.review.campaigns.workflow import File
from fraud.store.campaigns.shapes import (
    FINISHED,
    PHASES,
    STATES,
    Campaign,
    CampaignEvent,
    CampaignFile,
    Effect,
    Found,
    Inspected,
    Task,
)

__all__ = [
    "ACTIONS",
    "DAYS",
    "DECISIONS",
    "FINISHED",
    "FLAGGED",
    "PHASES",
    "STATES",
    "Announcement",
    "Campaign",
    "CampaignEvent",
    "CampaignFile",
    "CampaignRefusedError",
    "Campaigns",
    "Dossier",
    "Effect",
    "File",
    "Found",
    "Inspected",
    "Overview",
    "Plan",
    "Standing",
    "Task",
    "campaigns_between",
    "late",
]
