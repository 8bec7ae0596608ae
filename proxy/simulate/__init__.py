"""A simulated provider: it speaks the wire formats of OpenAI, Anthropic and Gemini, and does what the prompt's plan says.

What lives here: all that an agent needs to run without a key, and its proxy to be tried (tests, the demo, drills of the
governors, the traffic of dashboards). What does not: anything of the proxy, which never imports this; a copy of what
real models say. `plan.py` documents the language of plans. The way of a request:

| step | where | what happens |
| --- | --- | --- |
| read | `families/` | the body becomes a `Question` that is the same for every family |
| direct | `director.py` | the newest plan, or none, says what comes next: an `Answer` |
| count | `tokens.py`, `prompt_cache.py` | characters become tokens; a prefix seen before is read from the cache |
| fail | `faults.py` | what the plan, or the dice, wants to go wrong |
| write | `families/` | the answer becomes JSON, or events |
| send | `sending.py` | the one place that waits, for as long as `pace.py` says |
"""
