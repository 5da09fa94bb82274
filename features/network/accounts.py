"""Accounts and terminals that serve more than one master."""

from fraud.signals import ratio, signal

_BY_HAND = {"settlement_channel": "manual", "payee_account": "A1"}
_FIVE = [{**_BY_HAND, "patient_id": f"Q{i}", "provider_id": f"H{i}"} for i in range(6)]


@signal(
    entity="patient",
    title={"en": "Persons paid to the same account", "zh": "同一收款账户的其他参保人数"},
    says={
        "en": "Reimbursements of {value:.0f} other persons were paid to the same private account; above {limit:.0f} "
        "is looked at.",
        "zh": "另有{value:.0f}名参保人的手工报销款汇入同一收款账户,超过{limit:.0f}名即应核查。",
    },
    unit="persons",
    riskier="high",
    default=0,
    violation="T25",
    severity="serious",
    limit="account_persons",
    cites=["collusion-graph-case", "duplicate-invoice-case", "decree-735.41"],
    excuses={
        "en": "An employer, a nursing home or a guardian who receives for several persons.",
        "zh": "单位、养老机构或监护人统一代收报销款。",
    },
)
def account_sharers(accounts):
    """Other persons whose hand-filed claims of the window are paid to an account of this person's claims.

    Blind spot: accounts that are changed with every claim.

    释义:窗口内手工报销款汇入本人所用账户的其他人数。
    盲区:每次结算都更换的账户。
    """
    return (accounts.persons - 1).max()


account_sharers.fires(6, window=_BY_HAND, others=_FIVE)
account_sharers.fires(
    7,
    window=[_BY_HAND, {**_BY_HAND, "payee_account": "A2"}],
    others=[*_FIVE[:2], *({**_BY_HAND, "payee_account": "A2", "patient_id": f"R{i}"} for i in range(7))],
)
account_sharers.fires(6, window={**_BY_HAND, "days_ago": 300}, others=[*_FIVE, *_FIVE])
account_sharers.quiet(5, window=_BY_HAND, others=_FIVE[:5])
# Another account; and a house that is paid directly.
account_sharers.quiet(0, window=_BY_HAND, others=[{**row, "payee_account": "A2"} for row in _FIVE])
account_sharers.quiet(0, window=_BY_HAND, others=[{**row, "settlement_channel": "direct"} for row in _FIVE])
account_sharers.quiet(0, window=_BY_HAND)


@signal(
    entity="provider",
    title={"en": "Hand-filed money to shared accounts", "zh": "手工报销汇入共用账户占比"},
    says={
        "en": "{value:.1%} of the amount filed by hand for care here is paid to accounts of several persons "
        "(peers: {peer_median:.1%}).",
        "zh": "本机构票据的手工报销额中,{value:.1%}汇入多人共用账户(同类机构中位数{peer_median:.1%})。",
    },
    unit="share",
    riskier="high",
    high=1,
    peer=True,
    violation="T22",
    severity="serious",
    cites=["duplicate-invoice-case", "forged-invoice-case", "decree-735.41"],
    excuses={
        "en": "An employer or a home that collects for its people.",
        "zh": "单位或养老机构统一代办报销。",
    },
)
def shared_account_share(accounts, limits):
    """Share of the amount filed by hand that goes to accounts with more than `account_persons` persons.

    Blind spot: accounts that are changed with every claim.

    释义:手工报销金额中汇入超过`account_persons`人共用账户的占比。
    盲区:每次结算都更换的账户。
    """
    shared = accounts.amount.sum(where=accounts.persons > limits.account_persons).fill_null(0)
    return ratio(shared, accounts.amount.sum())


shared_account_share.fires(1, window=[{**_BY_HAND, "patient_id": f"Q{i}"} for i in range(6)])
shared_account_share.quiet(0, window=_BY_HAND)


@signal(
    entity="provider",
    title={"en": "Terminals used elsewhere", "zh": "终端在多家机构使用的结算占比"},
    says={
        "en": "{value:.1%} of the claims settled through terminals that also settled for other providers "
        "(peers: {peer_median:.1%}).",
        "zh": "{value:.1%}的结算单经由同时为其他机构结算的终端办理(同类机构中位数{peer_median:.1%})。",
    },
    unit="share",
    riskier="high",
    high=1,
    peer=True,
    violation="T30",
    severity="serious",
    cites=["causes-35", "rules-2026"],
    excuses={
        "en": "Branches of one house with a common desk, or a terminal that was handed on.",
        "zh": "同一机构分院共用窗口,或终端依规转交使用。",
    },
)
def shared_terminal_share(terminals):
    """Share of the claims that tell their terminal whose terminal settled for another provider in the window too.

    Blind spot: claims of the other provider that were settled under this one's name altogether.

    释义:记有终端的结算单中,终端在窗口内也为其他机构结算的占比。
    盲区:其他机构的结算全部以本机构名义进行。
    """
    return ratio(terminals.claims.sum(where=terminals.providers > 1).fill_null(0), terminals.claims.sum())


shared_terminal_share.fires(1, window={"terminal_id": "T1", "times": 3}, others={"terminal_id": "T1"})
shared_terminal_share.quiet(0, window={"terminal_id": "T1", "times": 3}, others={"terminal_id": "T2"})
shared_terminal_share.quiet(None, window={})
