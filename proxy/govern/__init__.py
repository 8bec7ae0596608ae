"""The phase judge, wired: a call's case is made, the policies are asked, the keeper of accounts decides, and what follows is told.

What lives here: one call's way through the policies (`tab.py`), the policies as they are set now (`governor.py`), what a call says to them
(`asking.py`, `said.py`), and what is told of verdicts (`announcing.py`). What does not: policies (`proxy.judge`), accounts (`proxy.state`).
"""
