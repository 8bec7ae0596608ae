from exporters.enrich.columns import EventRow, PriceRow, StepRow


def test_columns_are_those_of_the_design_and_no_name_stands_twice():
    fields = StepRow.__struct_fields__
    assert len(set(fields)) == len(fields) == 96
    assert fields[:2] == ("instance", "tenant")
    assert fields[-3:] == ("trace_id", "span_id", "parent_span_id")
    assert EventRow.__struct_fields__[:2] == ("event_id", "ts")
    assert PriceRow.__struct_fields__[:3] == ("price_version", "provider", "model")
