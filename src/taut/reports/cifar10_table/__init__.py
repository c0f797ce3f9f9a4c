"""The table of layers that were trained for the same time, beside the published one."""
