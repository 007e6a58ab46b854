"""The result of a scan as its user holds it: views of all of it, of one model and of one op, frames, checks."""
