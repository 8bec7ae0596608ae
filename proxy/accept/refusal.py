"""A request that is answered here, before anybody is asked."""

from dataclasses import dataclass

from proxy.model import ErrorType


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request goes nowhere. `message` says what to do and shows nothing that the request holds."""

    status: int
    code: str
    """One of a fixed set: `bad_target`, `bad_prefix`, `bad_method`, `not_a_forward_proxy`, `no_route`, `no_client_key`,
    `bad_client_key`, `route_not_allowed`, `no_upstream_key`, `bad_report`, `report_too_large`, `not_recorded`, `fault`."""
    error_type: ErrorType
    message: str
    headers: tuple[tuple[str, str], ...] = ()
    """Headers that the answer needs (`Allow`, `WWW-Authenticate`)."""
    routes: tuple[str, ...] = ()
    """`no_route`: the routes that there are."""
