"""Lower bounds of Lipschitz constants, by search: every one is attained by a pair of points that is kept."""
