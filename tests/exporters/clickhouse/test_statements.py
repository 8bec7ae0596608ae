"""What the read token may run and what it may not: each case goes through a real store over HTTP."""

from pathlib import Path

import pytest

from exporters.clickhouse.allowed import Functions
from exporters.clickhouse.statements import Rules, find_insert
from exporters.clickhouse.tree import Refused
from tests.helpers.store import StoreProcess

READONLY, ACCESS_DENIED, SYNTAX_ERROR = 164, 497, 62

WRITES = {
    "insert": "INSERT INTO steps (attempt_id) VALUES ('x')",
    "insert select": "INSERT INTO steps SELECT * FROM steps",
    "insert into a function": "INSERT INTO FUNCTION file('{out}') SELECT 1",
    "create": "CREATE TABLE x (a Int8) ENGINE = Memory",
    "create view": "CREATE VIEW x AS SELECT 1",
    "alter": "ALTER TABLE steps DELETE WHERE 1",
    "drop": "DROP TABLE steps",
    "truncate": "TRUNCATE TABLE steps",
}
OTHERS = {
    "rename": "RENAME TABLE steps TO y",
    "optimize": "OPTIMIZE TABLE steps FINAL",
    "attach": "ATTACH TABLE y",
    "detach": "DETACH TABLE steps",
    "delete": "DELETE FROM steps WHERE 1",
    "set": "SET max_threads = 1",
    "use": "USE system",
    "kill": "KILL QUERY WHERE 1",
    "system": "SYSTEM FLUSH LOGS",
    "system shutdown": "SYSTEM SHUTDOWN",
    "grant": "GRANT SELECT ON *.* TO x",
    "create user": "CREATE USER x",
    "create function": "CREATE FUNCTION f AS (x) -> x",
    "backup": "BACKUP TABLE steps TO File('{out}')",
    "check": "CHECK TABLE steps",
    "show grants": "SHOW GRANTS",
    "show access": "SHOW ACCESS",
    "begin": "BEGIN TRANSACTION",
    "explain a write": "EXPLAIN INSERT INTO steps SELECT * FROM steps",
    "explain a drop": "EXPLAIN AST DROP TABLE steps",
}
READS_OUTSIDE = {
    "file": "SELECT * FROM file('{secret}', 'RawBLOB', 's String')",
    "scalar file": "SELECT file('{secret}')",
    "file as a database": "SELECT * FROM default.`{secret}`",
    "file in IN": "SELECT 1 IN default.`{secret}`",
    "file in a subquery": "SELECT (SELECT * FROM file('{secret}', 'RawBLOB', 's String'))",
    "file in IN (SELECT)": "SELECT 1 WHERE 'x' IN (SELECT s FROM file('{secret}', 'RawBLOB', 's String'))",
    "file as the right side of IN": "SELECT 'x' IN file('{secret}', 'RawBLOB', 's String')",
    "file in WITH": "WITH a AS (SELECT * FROM file('{secret}', 'RawBLOB', 's String')) SELECT * FROM a",
    "file in a WITH expression": "WITH file('{secret}') AS a SELECT a",
    "file in view()": "SELECT * FROM view(SELECT * FROM file('{secret}', 'RawBLOB', 's String'))",
    "file in a lambda": "SELECT arrayMap(x -> file(x), ['{secret}'])",
    "file in APPLY": "SELECT * APPLY(file) FROM (SELECT '{secret}')",
    "file in APPLY with a lambda": "SELECT * APPLY(x -> file(x)) FROM (SELECT '{secret}')",
    "file in COLUMNS APPLY": "SELECT COLUMNS('s') APPLY file FROM (SELECT '{secret}' AS s)",
    "file in REPLACE": "SELECT * REPLACE(file(s) AS s) FROM (SELECT '{secret}' AS s)",
    "file in a join": "SELECT * FROM steps JOIN file('{secret}', 'RawBLOB', 's String') AS f ON 1",
    "file in UNION": "SELECT '' UNION ALL SELECT * FROM file('{secret}', 'RawBLOB', 's String')",
    "file in EXCEPT": "SELECT '' EXCEPT SELECT file('{secret}')",
    "file in HAVING": "SELECT 1 GROUP BY 1 HAVING file('{secret}') != ''",
    "file in QUALIFY": "SELECT 1 QUALIFY file('{secret}') != ''",
    "file in LIMIT": "SELECT 1 LIMIT length(file('{secret}'))",
    "file in ORDER BY WITH FILL": "SELECT 1 AS a ORDER BY a WITH FILL TO length(file('{secret}'))",
    "file in INTERPOLATE": "SELECT 1 AS a, '' AS b ORDER BY a WITH FILL TO 3 INTERPOLATE (b AS file('{secret}'))",
    "file in a window": "SELECT sum(1) OVER (ORDER BY file('{secret}'))",
    "file in a named window": "SELECT sum(1) OVER w WINDOW w AS (PARTITION BY file('{secret}'))",
    "file in ARRAY JOIN": "SELECT a FROM system.one ARRAY JOIN [file('{secret}')] AS a",
    "file in other letters": "SELECT * FROM FILE('{secret}', 'RawBLOB', 's String')",
    "file in backquotes": "SELECT `file`('{secret}')",
    "file behind a comment": "SELECT /* */ file /* ' */ ('{secret}') -- ;",
    "file with a combinator": "SELECT fileIf('{secret}', 1)",
    "describe file": "DESCRIBE TABLE file('{secret}')",
    "describe a query of file": "DESCRIBE (SELECT * FROM file('{secret}'))",
    "describe a file as a table": "DESCRIBE TABLE default.`{secret}`",
    "exists a file": "EXISTS TABLE default.`{secret}`",
    "show create a file": "SHOW CREATE TABLE default.`{secret}`",
    "explain file": "EXPLAIN SELECT * FROM file('{secret}')",
    "explain explain file": "EXPLAIN EXPLAIN SELECT file('{secret}')",
    "url": "SELECT * FROM url('http://127.0.0.1:1/', 'CSV', 'a String')",
    "s3": "SELECT * FROM s3('http://127.0.0.1:1/b', 'CSV', 'a String')",
    "remote": "SELECT * FROM remote('127.0.0.1:1', system.one)",
    "cluster": "SELECT * FROM cluster('default', system.one)",
    "mysql": "SELECT * FROM mysql('127.0.0.1:1', 'a', 'b', 'c', 'd')",
    "sqlite": "SELECT * FROM sqlite('{secret}', 't')",
    "executable": "SELECT * FROM executable('x.sh', CSV, 'a String')",
    "python": "SELECT * FROM python('x')",
    "eval": "SELECT * FROM eval('SELECT 1')",
    "filesystem": "SELECT * FROM filesystem('/')",
    "merge": "SELECT * FROM merge('system', '.*')",
    "loop": "SELECT * FROM loop(system.one) LIMIT 1",
    "input": "SELECT * FROM input('a Int8')",
    "a model": "SELECT catboostEvaluate('{secret}', 1)",
    "another server": "SELECT hasColumnInTable('127.0.0.1:1', 'a', 'b', 'c')",
    "ai": "SELECT aiGenerate('x', 'y')",
    "sleep": "SELECT sleep(3)",
    "introspection": "SELECT addressToLine(1)",
    "stack traces": "SELECT * FROM system.stack_trace",
    "named collections": "SELECT * FROM system.named_collections",
    "certificates": "SELECT * FROM system.certificates",
    "users": "SELECT * FROM system.users",
    "stack traces by IN": "SELECT 1 IN system.stack_trace",
    "a file written": "SELECT 1 INTO OUTFILE '{out}'",
    "a file written with a format": "SELECT 1 INTO OUTFILE '{out}' TRUNCATE FORMAT CSV",
    "a file written by SHOW": "SHOW TABLES INTO OUTFILE '{out}'",
    "a file written by DESCRIBE": "DESCRIBE TABLE steps INTO OUTFILE '{out}'",
    "a file written by EXPLAIN": "EXPLAIN SELECT 1 INTO OUTFILE '{out}'",
    "a file written by EXISTS": "EXISTS TABLE steps INTO OUTFILE '{out}'",
}
SEVERAL = {
    "two reads": "SELECT 1; SELECT 2",
    "a write behind a read": "SELECT 1; DROP TABLE steps",
    "behind a comment": "SELECT 1 -- \n; DROP TABLE steps",
    "behind a comment in a comment": "SELECT 1 /* ; */ ; DROP TABLE steps",
    "behind a quote": "SELECT ';' ; DROP TABLE steps",
    "behind a blank line": "SELECT 1\n\nDROP TABLE steps",
    "behind inline data": "SELECT 1 FORMAT CSV\n\n; DROP TABLE steps",
    "explained": "EXPLAIN AST SELECT 1; DROP TABLE steps",
}
SETTINGS = {
    "lift the time": "SELECT 1 SETTINGS max_execution_time = 0",
    "lift the time more": "SELECT 1 SETTINGS max_execution_time = 100000",
    "lift the memory": "SELECT 1 SETTINGS max_memory_usage = 0",
    "write": "SELECT 1 SETTINGS readonly = 0",
    "introspect": "SELECT 1 SETTINGS allow_introspection_functions = 1",
    "write a schema file": "SELECT 1 FORMAT CapnProto SETTINGS output_format_schema = '/tmp/x'",
    "in a subquery": "SELECT * FROM (SELECT 1 SETTINGS max_execution_time = 0)",
    "under explain": "EXPLAIN SELECT 1 SETTINGS readonly = 0",
    "back to the default": "SELECT 1 SETTINGS max_execution_time = DEFAULT",
}
ALLOWED = {
    "select": "SELECT 1;",
    "comments": "-- a\nSELECT /* b; */ 1 # c",
    "strings that look bad": "SELECT '; DROP TABLE steps', 'x\nFunction file', '--'",
    "aliases that look bad": "SELECT 1 AS `file`, 2 AS `a\nFunction url`",
    "with": "WITH a AS (SELECT 1 AS x), 2 AS y SELECT x + y FROM a",
    "recursive": "WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM t WHERE n < 5) SELECT max(n) FROM t",
    "sets": "SELECT 1 UNION DISTINCT SELECT 2 INTERSECT SELECT 2 EXCEPT SELECT 3",
    "values": "SELECT * FROM VALUES('a Int8', (1), (2))",
    "numbers": "SELECT sum(number) FROM numbers(10) WHERE number IN (SELECT number FROM numbers(3))",
    "view": "SELECT * FROM view(SELECT 1)",
    "windows": "SELECT number, sum(number) OVER (PARTITION BY number % 2 ORDER BY number ROWS UNBOUNDED PRECEDING) FROM numbers(3)",
    "lambdas": "SELECT arrayMap((x, y) -> x + y, [1], [2]), arrayReduce('sum', [1, 2])",
    "operators": "SELECT 1 = 1 ? 'a' : 'b', [1][1], (1, 2).1, NOT 1, 'a' LIKE '%', CASE WHEN 1 THEN 2 ELSE 3 END, 1::Decimal(18,12), INTERVAL 1 DAY + now() > now(), 1 BETWEEN 0 AND 2",
    "apply": "SELECT * APPLY(sum) FROM numbers(2)",
    "combinators": "SELECT quantilesTDigestIf(0.5, 0.9)(number, number > 1), sumMap(map('a', 1)), uniqExactState(number) IS NULL, countIf(1) FROM numbers(3)",
    "rollup": "SELECT number % 2 AS a, count() FROM numbers(4) GROUP BY ROLLUP(a) ORDER BY a",
    "grouping sets": "SELECT number % 2 AS a, count(), grouping(a) FROM numbers(4) GROUP BY GROUPING SETS ((a), ())",
    "array join": "SELECT a, b FROM system.one ARRAY JOIN [1, 2] AS a, [3, 4] AS b",
    "fill": "SELECT number AS n FROM numbers(2) ORDER BY n WITH FILL FROM 0 TO 5 STEP 1",
    "maps": "SELECT map('a', 1)['a'], mapKeys(map('a', 1)), JSONExtractInt('{{\"a\":1}}', 'a')",
    "a settings clause": "SELECT 1 SETTINGS max_threads = 2, max_execution_time = 5",
    "a format": "SELECT 1 AS a FORMAT JSONEachRow",
    "tables": "SELECT count() FROM tacho.steps AS s LEFT JOIN events AS e ON e.run_id = s.run_id",
    "a table in IN": "SELECT count() FROM steps WHERE run_id IN (SELECT run_id FROM events)",
    "show tables": "SHOW TABLES",
    "show tables from": "SHOW TABLES FROM system LIKE 'o%'",
    "show databases": "SHOW DATABASES",
    "show columns": "SHOW COLUMNS FROM steps",
    "show create": "SHOW CREATE TABLE tacho.steps",
    "show index": "SHOW INDEX FROM steps",
    "show functions": "SHOW FUNCTIONS LIKE 'su%'",
    "show settings": "SHOW SETTINGS LIKE 'max_threads'",
    "show processes": "SHOW PROCESSLIST",
    "describe": "DESCRIBE TABLE tacho.steps",
    "describe a query": "DESCRIBE (SELECT 1 AS a, 'b' AS c)",
    "describe a function": "DESCRIBE TABLE numbers(1)",
    "exists": "EXISTS steps",
    "explain": "EXPLAIN indexes = 1 SELECT * FROM steps WHERE run_id = 'a'",
    "explain syntax": "EXPLAIN SYNTAX SELECT 1",
    "system tables": "SELECT name, value, readonly FROM system.settings WHERE name = 'max_threads'",
    "system tables by column": "SELECT system.databases.name FROM system.databases",
    "information schema": "SELECT table_name FROM information_schema.tables WHERE table_schema = 'tacho'",
    "hello": "SELECT displayName(), version(), revision()",
}


@pytest.fixture
def paths(tmp_path: Path) -> dict[str, str]:
    """A file to be read and one to be written by what must not run."""
    secret = tmp_path / "secret.txt"
    secret.write_text("do not tell")
    return {"secret": str(secret), "out": str(tmp_path / "out")}


@pytest.mark.parametrize("statement", WRITES.values(), ids=WRITES)
def test_the_read_token_cannot_write(
    store: StoreProcess, paths: dict[str, str], statement: str
) -> None:
    answer = store.ask(statement.format(**paths))
    assert (answer.status, answer.code) == (403, READONLY)
    assert "Code: 164. DB::Exception: " in answer.text


@pytest.mark.parametrize("statement", OTHERS.values(), ids=OTHERS)
@pytest.mark.parametrize("who", ["reader", "writer"])
def test_nobody_runs_statements_that_are_not_on_the_list(
    store: StoreProcess, paths: dict[str, str], statement: str, who: str
) -> None:
    token = store.read_token if who == "reader" else store.write_token
    answer = store.ask(statement.format(**paths), token)
    assert answer.code in (ACCESS_DENIED, READONLY, SYNTAX_ERROR), answer.text


@pytest.mark.parametrize("statement", READS_OUTSIDE.values(), ids=READS_OUTSIDE)
@pytest.mark.parametrize("who", ["reader", "writer"])
def test_nobody_reaches_beyond_the_stored_rows(
    store: StoreProcess, paths: dict[str, str], statement: str, who: str
) -> None:
    token = store.read_token if who == "reader" else store.write_token
    answer = store.ask(statement.format(**paths), token)
    assert answer.code in (ACCESS_DENIED, SYNTAX_ERROR), answer.text
    assert "do not tell" not in answer.text
    assert not Path(paths["out"]).exists()


@pytest.mark.parametrize("statement", SEVERAL.values(), ids=SEVERAL)
@pytest.mark.parametrize("who", ["reader", "writer"])
def test_a_second_statement_is_refused_and_not_run(
    store: StoreProcess, statement: str, who: str
) -> None:
    token = store.read_token if who == "reader" else store.write_token
    answer = store.ask(statement, token)
    assert (answer.status, answer.code) == (400, SYNTAX_ERROR)
    assert "In scope" not in answer.text
    assert store.ask("EXISTS TABLE steps").text == "1\n"


@pytest.mark.parametrize("statement", SETTINGS.values(), ids=SETTINGS)
def test_a_statement_cannot_lift_its_own_limits(
    store: StoreProcess, statement: str
) -> None:
    answer = store.ask(statement)
    assert answer.code in (READONLY, ACCESS_DENIED), answer.text


@pytest.mark.parametrize("statement", ALLOWED.values(), ids=ALLOWED)
def test_what_only_reads_runs(store: StoreProcess, statement: str) -> None:
    answer = store.ask(statement)
    assert answer.status == 200, answer.text


def test_parameters_of_type_identifier_are_checked_as_names(
    store: StoreProcess,
) -> None:
    ask = "SELECT count() FROM {d:Identifier}.{t:Identifier}"
    assert store.ask(ask, param_d="tacho", param_t="steps").status == 200
    assert store.ask(ask, param_d="system", param_t="stack_trace").code == ACCESS_DENIED
    assert (
        store.ask(ask, param_d="default", param_t="/etc/hostname").code == ACCESS_DENIED
    )
    assert (
        store.ask("SELECT 1 FROM {t:Identifier}", param_t="system.users").code
        == ACCESS_DENIED
    )
    assert (
        store.ask("SELECT 1 IN {t:Identifier}", param_t="default.x").code
        == ACCESS_DENIED
    )
    describe = "DESCRIBE TABLE {d:Identifier}.{t:Identifier}"
    assert (
        store.ask(describe, param_d="default", param_t="secret").code == ACCESS_DENIED
    )


def test_parameters_are_values_whatever_they_hold(store: StoreProcess) -> None:
    answer = store.ask("SELECT {a:String}", param_a="'); DROP TABLE steps; --")
    assert answer.text == "\\'); DROP TABLE steps; --\n"


@pytest.mark.parametrize("name", ["default", "", "tacho"])
def test_the_database_that_clients_name_by_default_is_ours(
    store: StoreProcess, name: str
) -> None:
    assert store.ask("SELECT currentDatabase()", database=name).text == "tacho\n"


def test_another_database_is_unknown(store: StoreProcess) -> None:
    answer = store.ask("SELECT 1", database="system")
    assert (answer.status, answer.code) == (404, 81)


def test_an_insert_with_data_is_split_at_its_head_and_only_there() -> None:
    rules = Rules(Functions(frozenset(), frozenset()), "tacho")
    body = b"INSERT INTO tacho.`steps` (a, b) SETTINGS async_insert=0 FORMAT JSONEachRow\n{}\n\n;DROP"
    found = find_insert(body, rules)
    assert found is not None
    assert found.head == "INSERT INTO tacho.`steps` (a, b) "
    assert (found.format, dict(found.settings)) == (
        "JSONEachRow",
        {"async_insert": "0"},
    )
    assert body[found.data_from :] == b"{}\n\n;DROP"
    assert find_insert(b"INSERT INTO steps SELECT 1 FORMAT CSV\n", rules) is None
    with pytest.raises(Refused, match="only tacho"):
        find_insert(b"INSERT INTO default.x FORMAT CSV\n1", rules)
