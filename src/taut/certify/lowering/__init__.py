"""From a torch module to a program: its torch.fx graph, node by node, as plain operations."""
