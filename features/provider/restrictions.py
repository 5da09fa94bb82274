"""How often a provider gives what is paid for some diseases only."""

from fraud.signals import ratio, signal


def _claims(window):
    return window.count()


@signal(
    title={"en": "Share of claims with restricted drugs", "zh": "限定支付范围药品使用占比"},
    says={
        "en": "{value:.1%} of the claims bill a drug that is paid for some diseases only (peers: {peer_median:.1%}).",
        "zh": "{value:.1%}的结算单含限适应症支付的药品(同类机构中位数{peer_median:.1%})。",
    },
    unit="share",
    riskier="high",
    high=1,
    default=0,
    peer=True,
    total=_claims,
    violation="T19",
    cites=["decree-735.38.6", "national-rules-2025"],
    excuses={"en": "A department for the diseases that the drugs are meant for.", "zh": "设有相应专科。"},
)
def restricted_drug_share(window, window_lines):
    """Share of the claims with a drug whose payment the catalogue limits to some diagnoses.

    It counts whether or not such a diagnosis is written: one may be added to open the restriction. Blind spot: a few
    patients to whom much is given.

    释义:使用目录限定诊断支付的药品的结算单占比。
    盲区:集中用于少数患者的大量用药。
    """
    limited = (window_lines.category == "drug") & (window_lines.indications.length() > 0)
    return ratio(window_lines.claim_id.nunique(where=limited), window.count())


_DRUG = {"item_code": "X", "category": "drug"}
_CLAIMS = [{"lines": [{"item_code": "X"}]}, {"lines": [{"item_code": "Y"}]}]
restricted_drug_share.fires(0.5, window=_CLAIMS, catalogue={**_DRUG, "indications": ["C50"]})
restricted_drug_share.quiet(0, window=_CLAIMS, catalogue={**_DRUG, "indications": []})
