"""Reading run folders: what the files of every task have in common, each field checked."""
