"""The wire formats, one family a file: they read requests into a `Question` and write an `Exchange` as JSON or events.

What does not live here: what is answered, how fast, and what goes wrong.
"""
