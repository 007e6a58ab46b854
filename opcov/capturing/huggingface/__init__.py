"""Runs transformers models from their configurations alone: no weights, no download, at true size or shrunk."""
