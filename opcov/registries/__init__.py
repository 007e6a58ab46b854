"""Who says what is supported: each module here is one judge of nodes."""
