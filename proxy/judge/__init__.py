"""The phase judge: policies that say whether a request may go upstream.

What lives here: the policies, one a file, each a pure function. What does not: whoever asks them (`settling.py` as yet, since the one policy
that exists knows prices) and the answer to the agent (`forward/refusals.py`).
"""
