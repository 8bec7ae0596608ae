"""Recorded calls before other policies: what `tacho whatif` counts.

What lives here: calls as a store tells of them (`rows.py`), each as a case (`cases.py`), asking the same bench and the same keeper of accounts
that calls meet (`replayer.py`), what that comes to for runs (`tallies.py`), and which policies can be asked (`policies.py`). What does
not: the policies (`proxy.judge`), accounts (`proxy.state`), reading a store, showing it (`proxy/cli/whatif.py`).

No I/O and no clock: the time is that of the calls.
"""
