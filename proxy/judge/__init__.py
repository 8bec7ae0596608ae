"""The phase judge: policies that say whether a request may go upstream.

What lives here: the policies, one a file, each a pure function of its settings and a call (`case.py`), which makes claims (`claims.py`); the bench
that asks them in order (`bench.py`) and says what the keeper's answer means (`verdict.py`). What does not: whoever keeps accounts
(`proxy.state`), whoever asks, and the answer to the agent (`forward/refusals.py`). `unpriced.py` stands alone: it knows prices, and claims nothing.

`policies:` in the settings is `settings.py`, which therefore imports no other phase: `config` and the exporters read it, too.
"""
