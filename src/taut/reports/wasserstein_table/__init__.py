"""The table of Wasserstein-1 distances by activation and linear layer, beside the published one."""
