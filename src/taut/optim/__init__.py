"""What an optimizer's step needs beyond torch.optim."""

from taut.optim.projection import project_

__all__ = ["project_"]
