"""Tachograph's data path: a transparent reverse proxy between agents and the LLM and tool APIs that they call.

Each request passes seven phases, in this order; a folder (or package) holds each, and any behaviour is found by asking
in which phase it happens. `pipeline.py` is this table in code.

| phase    | where       | what happens                                                                               |
| -------- | ----------- | ------------------------------------------------------------------------------------------ |
| accept   | `accept/`   | the URL names route, upstream path and perhaps the run; the clock is read, ids are made    |
| identify | `identify/` | path and headers name the run, the session and the step; the credential names the caller   |
| judge    | (no policy) | policies say allow, warn or block; there is none yet, so everything is allowed             |
| forward  | `forward/`  | bytes travel both ways, unchanged; each chunk of the answer is also handed to the meter    |
| meter    | `meter/`    | the copy is read into a `Reading`, then into `Usage` and `Cost`                            |
| record   | `record/`   | open, close and end of the exchange go to the spool; close before the agent sees the end   |
| export   | `exporters` | another process makes rows of the spool and delivers them, one cursor a destination        |

Five promises, each with its tests under `tests/end_to_end/`:

1. Transparent. The bytes that the agent sends are those that the provider gets, and back, in the same framing and
   pace. The few exceptions are listed in the README and named in each row's column `altered`.
2. Complete. Each exchange ends in exactly one row. What is known is in the spool before the answer's terminal event or
   last byte goes to the agent: what the agent saw finished survives `kill -9`.
3. Harmless. A failure to identify, meter, price, record or export never reaches the agent; it is counted.
4. Bounded. Each buffer, table, queue and label set has a cap in the settings and a counter of what the cap cost.
5. Honest. Each number says where it came from. Absent is NULL, truncated is not finished, estimated is not reported.

`identify`, `meter` and `model` are pure: no I/O, no clock, no environment, not async; time is an argument.

Around the phases, from the ground up (imports go only downwards; import-linter holds the floors):

- `errors.py`, `model`: the exceptions and the nouns that cross modules
- `http/`, `log.py`: header and URL readers that accept, identify and the settings share; the log
- `config/`: settings, the only reader of files and environment; `telemetry/`: the proxy's own counters
- `control.py`, `control_client.py`: health, status and metrics between processes, over unix sockets
- `child.py`, `preflight.py`: what every child process does alike, and what must hold before it starts
- `admission.py`, `settling.py`, `endings.py`: identify as an `Open`; tokens and dollars; how it ended
- `recovery.py`: counters and short-lived state over a restart
- `call.py`, `desk.py`, `ledger.py`, `outbound.py`: one request on its way, and how meter and record hang together for it
- `pipeline.py`: the table above
- `replay/`: recorded calls before other policies, for `tacho whatif`
- `wiring.py`, `worker.py`: one proxy process; `supervisor.py`, `supervise/`: the listening socket and the children
- `cli/`: one command of `tacho` a file; `__main__.py`: the command itself
"""
