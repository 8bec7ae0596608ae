"""Where control sockets are; `test_control.py` and `test_control_client.py` use them."""

from pathlib import Path

from proxy.control_paths import (
    canonical,
    pointer_path,
    real_path,
    socket_path,
    too_long,
)


def test_a_socket_is_in_the_data_directory():
    path = socket_path(Path("data"), "w0")
    assert path == Path("data/run/w0.sock")
    assert pointer_path(path) == Path("data/run/w0.path")
    assert canonical(path).is_absolute()


def test_a_path_that_is_too_long_is_followed(tmp_path: Path):
    short = socket_path(tmp_path, "w0")
    assert real_path(short) == short
    long = socket_path(tmp_path / ("d" * 100), "w0")
    assert too_long(long)
    assert real_path(long) == long
    long.parent.mkdir(parents=True)
    pointer_path(long).write_text("/tmp/elsewhere.sock")
    assert real_path(long) == Path("/tmp/elsewhere.sock")
