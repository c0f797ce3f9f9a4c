"""Exported networks: one folder, without pickle, from which `load` makes the network again on any machine."""

from taut.models.exported.description import Description, FileName
from taut.models.exported.load import load
from taut.models.exported.network import ExportedNetwork
from taut.models.exported.probe import probe_logits
from taut.models.exported.write import write_network

__all__ = ["Description", "ExportedNetwork", "FileName", "load", "probe_logits", "write_network"]
