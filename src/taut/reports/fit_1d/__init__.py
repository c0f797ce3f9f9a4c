"""The page of one-dimensional fits: errors and curves of every activation, beside what each can represent."""
