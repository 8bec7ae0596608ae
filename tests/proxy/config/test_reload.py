from proxy.config import (
    AdminSettings,
    AgentSettings,
    ClientSettings,
    RouteSettings,
    Settings,
    TlsListener,
    reloadable,
)
from proxy.judge.settings import PolicySettings


def test_routes_clients_and_names_can_be_reloaded():
    new = Settings(
        agents=AgentSettings(rename={"a": "b"}),
        routes={"x": RouteSettings("http://x")},
        clients={"a": ClientSettings("K")},
        default_route="x",
        policies=PolicySettings(strict=True),
    )
    assert reloadable(Settings(), new) == []


def test_the_rest_needs_a_restart_and_is_named():
    new = Settings(
        listen="127.0.0.1:1",
        listen_tls=TlsListener("c", "k"),
        admin=AdminSettings(token="t"),
        workers=2,
        state="redis://h",
    )
    assert reloadable(Settings(), new) == [
        "listen",
        "listen_tls",
        "admin.token",
        "workers",
        "state",
    ]
