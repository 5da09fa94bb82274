"""What the model loses without a kind of feature: by how much each kind earns its place."""

from __future__ import annotations

from collections.abc import Sequence

from fraud.learning.datasets.dataset import Feature

__all__ = ["ABLATIONS", "kept_columns"]

# In the order of the report; the text says what is left out.
ABLATIONS: dict[str, str] = {
    "no_volume": "figures that grow with the size of the entity",
    "no_network": "signals of the network",
    "no_peers": "standing among peers",
    "no_rules": "signals with a limit, which are rules as well",
}


def kept_columns(name: str, features: Sequence[Feature], rules: frozenset[str]) -> tuple[list[int], str]:
    """Columns that an ablation keeps, and why it cannot be made (empty when it can); `rules` are ids of signals."""
    kept = [i for i, f in enumerate(features) if not _drops(name, f, rules)]
    if len(kept) == len(features):
        return kept, f"the model reads no {ABLATIONS[name]}"
    return kept, "" if kept else f"the model reads nothing but {ABLATIONS[name]}"


def _drops(name: str, feature: Feature, rules: frozenset[str]) -> bool:
    return {
        "no_volume": feature.volume,
        "no_network": feature.signal.startswith("network."),
        "no_peers": feature.is_peer_column,
        "no_rules": feature.signal in rules,
    }[name]
