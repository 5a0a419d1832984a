"""False match and false non-match rates by group, as ``cb.rates``: no model needed."""

from causalbias.rates.accuracy import accuracy_indices, verification_accuracy
from causalbias.rates.all_pairs import all_pairs_rates
from causalbias.rates.associations import association_test, associations
from causalbias.rates.det import det, equal_error_rate
from causalbias.rates.differentials import (
    fairness_discrepancy,
    fairness_indices,
    garbe,
    gini,
    inequity,
    max_to_geometric_mean,
    max_to_min,
    rate_ratios,
)
from causalbias.rates.enrolment import enrolment
from causalbias.rates.error_rates import error_rates, group_pair_rates
from causalbias.rates.histograms import score_histograms
from causalbias.rates.pair_counts import add_counts, site_counts
from causalbias.rates.pairwise import pairwise_rate_ratios
from causalbias.rates.rankings import ndkl, ranking_indices, skew_at_k
from causalbias.rates.thresholds import threshold_at

__all__ = [
    "accuracy_indices",
    "add_counts",
    "all_pairs_rates",
    "association_test",
    "associations",
    "det",
    "enrolment",
    "equal_error_rate",
    "error_rates",
    "fairness_discrepancy",
    "fairness_indices",
    "garbe",
    "gini",
    "group_pair_rates",
    "inequity",
    "max_to_geometric_mean",
    "max_to_min",
    "ndkl",
    "pairwise_rate_ratios",
    "ranking_indices",
    "rate_ratios",
    "score_histograms",
    "site_counts",
    "skew_at_k",
    "threshold_at",
    "verification_accuracy",
]
