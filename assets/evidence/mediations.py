"""How much of what goes with the incentive goes through the way of selling: rows of `incentive_effects` on mediation.

Total, direct and indirect differences in the share of deals with an outcome per +10 pp EMCR, within a seller's pay period, on one set of
deals, so that the parts add up. The days left in the pay period are not held fixed here, as elsewhere at level 2: when
a deal closes is one of the ways. What must be assumed is in every row, and no row is more than an association.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import polars as pl

from assets.evidence.estimates import MIN_EVENTS, number_words
from assets.evidence.sentences import Via, say_mediation
from assets.evidence.specifications import EXPOSURES, MATURE_SHARE, Exposure
from assets.methods.bands import inverted_cdf
from assets.methods.clusters import FEW_CLUSTERS
from assets.methods.design import EstimationError
from assets.methods.disclosure import MIN_ACCOUNTS, MIN_SELLERS
from assets.methods.mediation import Mediation, Path, decompose_association
from assets.methods.poisson import mark_levels
from assets.methods.rates import e_value, e_value_bound
from assets.methods.resampling import derive_seed
from expectations.cautions import Caution

_c = pl.col

STYLES: Final = {
    "discount_share": "discount",
    "cycle_days": "length of the cycle",
    "period_end_close": "a close in the last days of the pay period",
    "touches_30d": "touches before the close",
    "touches_after_refusal_30d": "touches after a refusal",
}
"""The way of selling as a deal shows it, and its words."""
OUTCOMES: Final = {
    "churn_180d": (_c("churned_180d"), "lost within 180 days"),
    "complaint_180d": (_c("complaints_180d") > 0, "with a complaint within 180 days"),
    "refund_180d": (_c("refunded_180d"), "refunded within 180 days"),
    "clawback_180d": (_c("clawed_back_180d"), "with commission clawed back within 180 days"),
}
"""Whether a mature deal had the outcome, and the words for one that had."""
KNOWN_SHARE: Final = 0.5
"""A mediator known of fewer deals than this would leave the sample to those it is known of."""
SCALE: Final = "difference in share of deals per +10 pp emcr"
ESTIMATOR: Final = "linear mediation within seller-period, sellers drawn anew"
ASSUMPTIONS: Final = (
    "shares change along a straight line; nothing unmeasured moves incentive and outcome, incentive and way of selling, or way of "
    "selling and outcome; nothing that the incentive moves does the last; a way of selling does the same under every incentive; "
    "sellers close late because of the pay, not the pay is high because it is late"
)
_REPLICATES: Final = 999  # p values down to 0.002


def list_mediations(
    deals: pl.LazyFrame, known: Mapping[str, frozenset[Caution]] = MappingProxyType({})
) -> Iterator[dict[str, Any]]:
    """Rows of the contract INCENTIVE_EFFECTS but for q-values: none for outcomes or firms without what it takes.

    Args:
        deals: from `describe_deals`.
        known: what is to be feared of each outcome under pay, whatever the specification.
    """
    exposure = EXPOSURES[0]
    facts = [name for name in STYLES if name in deals.collect_schema()]
    every = deals.filter(_c("account_id").is_not_null(), _c(exposure.column).is_not_null()).select(
        "account_id", "rep_id", "period", "segment", exposure.column, *facts,
        *(happened.cast(pl.Float64).alias(name) for name, (happened, _) in OUTCOMES.items()),
    ).collect()  # fmt: skip
    for outcome in OUTCOMES:
        rows = every.filter(_c(outcome).is_not_null())
        ways = [
            name for name in facts
            if rows[name].drop_nulls().n_unique() > 1 and rows[name].is_not_null().mean() >= KNOWN_SHARE  # type: ignore[operator]
        ]  # fmt: skip
        rows = rows.drop_nulls(ways)
        if ways and not rows.is_empty():
            share = rows.height / every.height
            yield from _describe(rows, outcome, ways, exposure, share, known.get(outcome, frozenset()))


def _describe(
    rows: pl.DataFrame,
    outcome: str,
    ways: list[str],
    exposure: Exposure,
    known_share: float,
    cautions: frozenset[Caution],
) -> Iterator[dict[str, Any]]:
    events = int(rows[outcome].sum())
    sellers, accounts = rows["rep_id"].n_unique(), rows["account_id"].n_unique()
    suppressed = sellers < MIN_SELLERS or accounts < MIN_ACCOUNTS
    found: Mediation | None = None
    if events < MIN_EVENTS:
        cautions |= {Caution.FEW_EVENTS}
    else:
        try:
            found = _fit(rows, outcome, ways, exposure)
        except EstimationError:
            cautions |= {Caution.NO_WITHIN_VARIATION}
    if found and found.clusters < FEW_CLUSTERS:
        cautions |= {Caution.FEW_CLUSTERS}
    if known_share < MATURE_SHARE:
        cautions |= {Caution.IMMATURE_COHORT}
    sizes = {
        "n": found.n if found else rows.height, "events": events, "n_clusters": found.clusters if found else sellers,
        "n_accounts": accounts, "mature_share": known_share,
    }  # fmt: skip
    usual = float(rows[outcome].mean())  # type: ignore[arg-type]
    for name, kind, via, path in _list_parts(found, ways):
        is_share = name == "mediation_share"
        # a share of what can't be told from nothing is no number
        shown = None if suppressed or (is_share and found and found.total.lo <= 0 <= found.total.hi) else path
        row: dict[str, Any] = {
            "outcome": outcome, "exposure": exposure.name, "specification": name, "evidence_level": 2, "test_family": "secondary",
            "effect_kind": kind, "estimator": ESTIMATOR, "scale": "share of the total difference" if is_share else SCALE,
            "assumptions": ASSUMPTIONS, "warnings": ", ".join(sorted(cautions)), "suppressed": suppressed,
        }  # fmt: skip
        about = Via(kind if not is_share else "share", OUTCOMES[outcome][1], exposure.words, via)
        numbers = None if shown is None else (shown.estimate, shown.lo, shown.hi)
        said = say_mediation(about, numbers, sizes, () if suppressed else cautions)
        yield (
            row
            | ({} if suppressed else sizes)
            | _number(shown, usual, is_share=is_share)
            | {"sentence": said}
        )


def _list_parts(found: Mediation | None, ways: list[str]) -> list[tuple[str, str, list[str], Path | None]]:
    """Specification, kind, words of the ways and what was found; the same rows whether or not anything was."""
    every = [STYLES[name] for name in (found.mediators if found else ways)]
    wholes: list[tuple[str, str, Path | None]] = [
        ("mediation_total", "total", found.total if found else None),
        ("mediation_direct", "direct", found.direct if found else None),
        ("mediation_indirect", "indirect", found.indirect if found else None),
        ("mediation_share", "indirect", found.share if found else None),
    ]
    through = dict(zip(found.mediators, found.through, strict=True)) if found else {}
    return [(name, kind, every, path) for name, kind, path in wholes] + [
        (f"mediation_via_{name}", "indirect", [STYLES[name]], path) for name, path in through.items()
    ]


def _fit(rows: pl.DataFrame, outcome: str, ways: list[str], exposure: Exposure) -> Mediation:
    values = _c(exposure.column).cast(pl.Float64)
    cut = values.clip(inverted_cdf(values, 1, 100), inverted_cdf(values, 99, 100)) / exposure.step
    _, segments = mark_levels(rows["segment"])
    group = rows.select(pl.concat_str("rep_id", "period", separator=" ").fill_null("")).to_series()
    return decompose_association(
        rows.select(cut).to_series().to_numpy(),
        rows.select(_c(ways).cast(pl.Float64)).to_numpy(),
        rows[outcome].to_numpy(),
        np.asarray(segments, dtype=np.float64),
        number_words(group),
        number_words(rows["rep_id"]),
        ways,
        seed=derive_seed("incentive_effects", "mediation", outcome),
        replicates=_REPLICATES,
    )


def _number(path: Path | None, usual: float, *, is_share: bool) -> dict[str, float]:
    if path is None or not np.isfinite([path.estimate, path.lo, path.hi]).all():
        return {}
    told = {
        "estimate": path.estimate,
        "estimate_lo": path.lo,
        "estimate_hi": path.hi,
        "p_value": path.p_value,
    }
    ratios = [1 + v / usual for v in (path.estimate, path.lo, path.hi)]
    if is_share or min(ratios) <= 0:
        return told
    # of the ratio of the usual share, moved by the difference, to the usual share
    return told | {
        "e_value": float(e_value(ratios[0])),
        "e_value_bound": float(e_value_bound(ratios[1], ratios[2])),
    }
