"""Bounds of whole networks, on the graph that torch.fx traces."""
