"""From a finished run to a folder that can be given away: network, certificate, figures, and a card on them."""

from taut.tasks.classification.exporting.export import export_run

__all__ = ["export_run"]
