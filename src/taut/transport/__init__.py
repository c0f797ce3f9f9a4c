"""Wasserstein-1 distances between samples: from below by a critic with a proven constant, from above by transport."""
