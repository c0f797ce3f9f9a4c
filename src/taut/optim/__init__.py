"""What an optimizer's step needs beyond torch.optim."""

from taut.optim.aggmo import AggMo
from taut.optim.groups import parameter_groups, set_rates
from taut.optim.lookahead import LookaheadHook
from taut.optim.lp_schedule import LpSchedule, relax_
from taut.optim.manifold import keep_on_manifold
from taut.optim.projection import ProjectionHook, project_

__all__ = [
    "AggMo",
    "LookaheadHook",
    "LpSchedule",
    "ProjectionHook",
    "keep_on_manifold",
    "parameter_groups",
    "project_",
    "relax_",
    "set_rates",
]
