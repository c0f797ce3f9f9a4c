"""Plots of what `taut bench` measured."""
