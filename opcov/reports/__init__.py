"""How the result is told: each module here turns a `Coverage` into the text of one kind of file."""
