# The public names: those of daily use here, the rest in the packages that are named first.

from . import (
    agreement,
    analyses,
    causal,
    datasets,
    design,
    joint_model,
    manipulation_checks,
    model_checks,
    plots,
    rates,
    recognition,
    simulation,
    stimuli,
)
from .agreement.reliability import reliability
from .datasets import demo_study, load
from .draws.estimate import Estimate
from .draws.hypotheses import equivalence, hypotheses
from .draws.summaries import summarise
from .draws.tables import table
from .draws.transformations import per_unit, pool, rank_probabilities
from .errors import DataError
from .estimands.coefficients import coefficients, group_effects
from .estimands.comparing import compare
from .estimands.contrasts import counterfactual, effects, interaction, predictions
from .estimands.discriminability import discriminability
from .estimands.dose import dose
from .estimands.heterogeneity import heterogeneity, variance_shares
from .estimands.new_data import datagrid
from .estimands.prior_predictive import prior_predictive
from .io.storage import open, save
from .joint_model.model import joint
from .manipulation_checks.leak_corrected import leak_corrected
from .model_checks.check import check
from .model_checks.heal import heal
from .model_checks.influence import influence
from .model_checks.loo import loo, loo_compare
from .model_checks.sensitivity import sensitivity
from .models.fit import fit
from .models.formula.parts import formula
from .models.prior_table import get_prior
from .models.result import Fit, failures
from .models.summaries.summarise import summarise_rows
from .models.summary import summary
from .models.updating import update
from .rates.det import det, equal_error_rate
from .rates.error_rates import error_rates
from .rates.thresholds import threshold_at
from .recognition.choose import embedder
from .recognition.embedding import embed
from .recognition.pair_counts import all_pairs
from .simulation.simulate import simulate
from .study.build import make_study
from .study.frames import to_frame
from .study.pairs import with_pairs
from .study.tree import Study
from .study.validate import validate

__all__ = [
    "DataError",
    "Estimate",
    "Fit",
    "Study",
    "__version__",
    "agreement",
    "all_pairs",
    "analyses",
    "causal",
    "check",
    "coefficients",
    "compare",
    "counterfactual",
    "datagrid",
    "datasets",
    "demo_study",
    "design",
    "det",
    "discriminability",
    "dose",
    "effects",
    "embed",
    "embedder",
    "equal_error_rate",
    "equivalence",
    "error_rates",
    "failures",
    "fit",
    "formula",
    "get_prior",
    "group_effects",
    "heal",
    "heterogeneity",
    "hypotheses",
    "influence",
    "interaction",
    "joint",
    "joint_model",
    "leak_corrected",
    "load",
    "loo",
    "loo_compare",
    "make_study",
    "manipulation_checks",
    "model_checks",
    "open",
    "per_unit",
    "plots",
    "pool",
    "predictions",
    "prior_predictive",
    "rank_probabilities",
    "rates",
    "recognition",
    "reliability",
    "save",
    "sensitivity",
    "simulate",
    "simulation",
    "stimuli",
    "summarise",
    "summarise_rows",
    "summary",
    "table",
    "threshold_at",
    "to_frame",
    "update",
    "validate",
    "variance_shares",
    "with_pairs",
]

__version__: str
