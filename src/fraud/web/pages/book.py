"""All pages, in the order of the menu."""

from __future__ import annotations

from fraud.web.pages.frame.shapes import Page
from fraud.web.pages.office import campaign_steps, campaigns, handbook, keys, ledger, papers, state
from fraud.web.pages.people import account, elsewhere, sign_in, users
from fraud.web.pages.work import case, case_papers, case_steps, entities, home, overview, queue, tips

__all__ = ["MODULES", "PAGES"]

# Each has a tuple `PAGES`; within a part of the menu the pages stand in this order.
MODULES = (
    home,
    sign_in,
    elsewhere,
    account,
    queue,
    case,
    case_steps,
    case_papers,
    entities,
    overview,
    papers,
    tips,
    campaigns,
    campaign_steps,
    handbook,
    users,
    keys,
    ledger,
    state,
)
PAGES: tuple[Page, ...] = tuple(page for module in MODULES for page in module.PAGES)
