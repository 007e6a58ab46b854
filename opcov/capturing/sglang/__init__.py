"""Captures models as SGLang serves them: its benchmark is run with hooks where it compiles."""
