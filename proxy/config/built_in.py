"""The routes that exist without settings."""

from proxy.config.addresses import parse_address
from proxy.config.structs import RouteSettings
from proxy.providers import PROVIDERS


def built_in_routes(
    listen: str, egress_proxy: str = "", *, has_clients: bool = False
) -> dict[str, RouteSettings]:
    """Give a route for each provider with a known URL; one of the same name in the file replaces it whole.

    Model servers on this machine are among them only for those who could reach these ports without us, too, and not where an
    egress proxy is asked for all upstreams: to it 127.0.0.1 is a machine of its own, which must get neither keys nor prompts. Nor where
    there are client keys: these tell that others come in, through a TLS proxy on this machine perhaps.
    """
    with_local = _is_loopback(listen) and not egress_proxy and not has_clients
    return {
        provider.name: RouteSettings(
            url=provider.url, kind="embedding" if provider.embeds else "llm"
        )
        for provider in PROVIDERS
        if provider.url and (with_local or not provider.self_hosted)
    }


def _is_loopback(listen: str) -> bool:
    try:
        return parse_address(listen).is_loopback()
    except ValueError:
        return False  # the checks that follow refuse it
