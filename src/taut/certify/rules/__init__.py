"""What is known of each module and function: its Lipschitz constant, or why it has none."""
