import pytest

from proxy.config.built_in import built_in_routes
from proxy.config.route_checks import check_routes
from proxy.config.structs import Settings
from proxy.providers import PROVIDERS


def test_each_provider_with_a_known_url_has_a_route_that_passes_the_checks():
    routes = built_in_routes("127.0.0.1:4141")
    assert set(routes) == {each.name for each in PROVIDERS if each.url}
    assert routes["voyage"].kind == "embedding"
    check_routes(Settings(routes=routes))


def test_an_egress_proxy_is_not_asked_for_model_servers_on_this_machine():
    routes = built_in_routes("127.0.0.1:4141", "http://egress.test:3128")
    assert "openai" in routes
    assert not {"ollama", "vllm", "llama_cpp"} & set(routes)


def test_clients_do_not_reach_model_servers_on_this_machine_unasked():
    routes = built_in_routes("127.0.0.1:4141", has_clients=True)
    assert "openai" in routes
    assert not {each.name for each in PROVIDERS if each.self_hosted} & set(routes)


@pytest.mark.parametrize("listen", ["0.0.0.0:4141", "nonsense"])
def test_others_than_this_machine_do_not_reach_its_model_servers_unasked(listen):
    routes = built_in_routes(listen)
    assert "openai" in routes
    assert not {"ollama", "vllm", "llama_cpp"} & set(routes)
