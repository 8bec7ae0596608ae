"""What the operating system says of a process."""

import os
import resource

from proxy.supervise.processes import process_use


def test_this_process_is_known():
    use = process_use(os.getpid())
    assert use is not None
    spent = resource.getrusage(resource.RUSAGE_SELF)
    assert abs(use.cpu_seconds - spent.ru_utime - spent.ru_stime) < 0.5
    assert 1 << 20 < use.resident_bytes < 2 * spent.ru_maxrss * 1024
    assert use.open_files >= 3


def test_a_process_that_is_gone_is_unknown():
    assert process_use(2**22 + 1) is None
