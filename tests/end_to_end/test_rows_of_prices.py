"""Each price version that a row names is explained in the table `prices` and in its file."""

import json

import pytest

from tests.helpers.installation import await_that
from tests.helpers.scene import Scene

pytestmark = pytest.mark.timeout(180)

EXPLAINED = """
SELECT uniqExact(attempt_id, part) AS n FROM steps AS s INNER JOIN prices AS p USING (price_version, provider)
WHERE p.model IN (s.model_served, s.model_requested)
"""


def test_each_row_with_a_cost_can_be_explained(scene: Scene):
    priced = "SELECT count() AS n FROM steps WHERE price_version != ''"
    (count,) = scene.stack.sql(priced)
    assert int(count["n"]) >= 4
    await_that(lambda: scene.stack.sql(EXPLAINED) == [count], "all prices")


def test_the_terms_are_those_that_were_charged(scene: Scene):
    (row,) = scene.of_run("R2")
    rows = scene.stack.sql(
        f"SELECT * FROM prices WHERE price_version = '{row['price_version']}' AND provider = 'anthropic'"
        f" AND model = '{row['model_served']}' LIMIT 1 BY price_version, provider, model"
    )
    (price,) = rows
    assert price["valid_from"]
    (line, *_) = json.loads(price["terms"])["prices"]
    usd = line["usd"]["input"]
    base = float(usd if isinstance(usd, str) else usd[0])
    assert float(row["rate_input"]) == pytest.approx(base / 1e6)


def test_the_files_hold_them_too(scene: Scene):
    (file,) = scene.stack.product.place.glob("jsonl/prices*.jsonl")
    written = {
        (row["price_version"], row["provider"], row["model"])
        for row in map(json.loads, file.read_text().splitlines())
    }
    rows = scene.stack.sql("SELECT DISTINCT price_version, provider, model FROM prices")
    assert written == {(r["price_version"], r["provider"], r["model"]) for r in rows}
