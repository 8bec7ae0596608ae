"""The text that points agents at the provider."""

from proxy.simulate.pointing import pointing, variables


def test_every_variable_stands_in_the_text():
    text = pointing("http://127.0.0.1:1")
    for name, value in variables("http://127.0.0.1:1").items():
        assert f"export {name}={value}\n" in text
    assert "<<plan:" in text
