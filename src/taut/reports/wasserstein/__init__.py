"""Wasserstein runs: the bracket of a distance, and the critic that proves its lower end."""
