import os

import pytest

from exporters.jsonl import JsonlExporter, JsonlOptions
from exporters.reader import Batch

pytestmark = pytest.mark.blocking_allowed  # the tests look at the files themselves


def make_batch(number: int, table: str = "steps") -> Batch:
    return Batch(table, f"token-{number}", 1, b'{"n":%d}\n' % number)


async def started(options: JsonlOptions) -> JsonlExporter:
    exporter = JsonlExporter(options)
    await exporter.start()
    return exporter


async def test_each_table_has_a_file_of_lines(tmp_path):
    exporter = await started(JsonlOptions(tmp_path / "out"))
    await exporter.export(make_batch(1))
    await exporter.export(make_batch(2))
    await exporter.export(make_batch(3, "events"))
    await exporter.close()
    assert (tmp_path / "out" / "steps.jsonl").read_text() == '{"n":1}\n{"n":2}\n'
    assert (tmp_path / "out" / "events.jsonl").read_text() == '{"n":3}\n'


async def test_batch_that_was_written_is_not_written_again_after_a_restart(tmp_path):
    await (await started(JsonlOptions(tmp_path))).export(make_batch(1))
    await (await started(JsonlOptions(tmp_path))).export(make_batch(1))
    assert (tmp_path / "steps.jsonl").read_text() == '{"n":1}\n'


async def test_what_a_crash_left_half_written_is_cut_off(tmp_path):
    exporter = await started(JsonlOptions(tmp_path))
    await exporter.export(make_batch(1))
    with (tmp_path / "steps.jsonl").open("a") as file:
        file.write('{"n":')
    again = await started(JsonlOptions(tmp_path))
    assert (tmp_path / "steps.jsonl").read_text() == '{"n":1}\n'
    await again.export(make_batch(2))
    assert (tmp_path / "steps.jsonl").read_text() == '{"n":1}\n{"n":2}\n'


async def test_failed_batch_is_written_once_when_it_is_tried_again(
    tmp_path, monkeypatch
):
    exporter = await started(JsonlOptions(tmp_path))
    real = os.fdatasync

    def failing(fd: int) -> None:
        monkeypatch.setattr(os, "fdatasync", real)
        raise OSError(5, "Input/output error")

    await exporter.export(make_batch(1))
    monkeypatch.setattr(os, "fdatasync", failing)
    with pytest.raises(OSError, match="Input"):
        await exporter.export(make_batch(2))
    await exporter.export(make_batch(2))
    assert (tmp_path / "steps.jsonl").read_text() == '{"n":1}\n{"n":2}\n'


async def test_files_rotate_by_size_and_only_so_many_are_kept(tmp_path):
    exporter = await started(JsonlOptions(tmp_path, rotate_bytes=10, keep_files=2))
    for number in range(1, 8):
        await exporter.export(make_batch(number))
    files = {path.name: path.read_text() for path in tmp_path.glob("*.jsonl")}
    assert files == {
        "steps.jsonl": '{"n":7}\n',
        "steps.1.jsonl": '{"n":5}\n{"n":6}\n',
        "steps.2.jsonl": '{"n":3}\n{"n":4}\n',
    }


async def test_file_that_somebody_moved_away_is_begun_anew(tmp_path):
    exporter = await started(JsonlOptions(tmp_path))
    await exporter.export(make_batch(1))
    (tmp_path / "steps.jsonl").rename(tmp_path / "mine")
    again = await started(JsonlOptions(tmp_path))
    await again.export(make_batch(2))
    assert (tmp_path / "steps.jsonl").read_text() == '{"n":2}\n'


async def test_file_that_was_there_before_us_is_kept(tmp_path):
    (tmp_path / "steps.jsonl").write_text("old\n")
    exporter = await started(JsonlOptions(tmp_path))
    await exporter.export(make_batch(1))
    assert (tmp_path / "steps.jsonl").read_text() == 'old\n{"n":1}\n'


async def test_damaged_note_is_named_with_the_remedy(tmp_path):
    (tmp_path / ".position.json").write_text("{")
    with pytest.raises(OSError, match="delete it"):
        await started(JsonlOptions(tmp_path))
