"""The parts of `supervisor.py`: ports and locks, children, metrics of all, the admin port, the banner."""
