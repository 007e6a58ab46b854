"""The commands, one file each: what a first word on the command line stands for.

Only these modules print and read the terminal.
"""
