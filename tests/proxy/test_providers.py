import re
from pathlib import Path

import pytest
from genai_prices.data import providers as priced

from proxy import providers
from proxy.config.route_checks import RESERVED_ROUTES
from proxy.providers import PROVIDERS, SELF_HOSTED, Provider, find, of_host, price_id

PAGE = (Path(__file__).parents[2] / "docs" / "providers.md").read_text()
each_provider = pytest.mark.parametrize("each", PROVIDERS, ids=lambda each: each.name)
UNPRICED = {"huggingface", "nvidia", "writer", "deepinfra", "sambanova"}
"""genai-prices has no table of these: a model's name may still say whose it is."""


def test_no_name_means_two_providers():
    names = [word for each in PROVIDERS for word in (each.name, *each.aliases)]
    assert len(set(names)) == len(names)
    assert not set(names) & RESERVED_ROUTES


@each_provider
def test_a_name_can_be_a_route_and_a_url_is_the_hosts_root(each: Provider):
    assert re.fullmatch(r"[a-z0-9][a-z0-9_-]*", each.name)
    assert re.fullmatch(r"(https?://[^/]+)?", each.url)


@each_provider
def test_each_is_priced_or_known_not_to_be(each: Provider):
    known = {provider.id for provider in priced}
    assert (each.price_id in known) != (each.self_hosted or each.name in UNPRICED)


@each_provider
def test_each_is_found_by_all_its_names_and_hosts(each: Provider):
    for word in (each.name, each.name.upper(), *each.aliases):
        assert find(word) is each
    host = each.url.partition("://")[2]
    if host and not each.self_hosted:
        assert of_host(host) is each
    for pattern in each.hosts:
        assert of_host(pattern.replace("*", "-some-region")) is each


def test_a_name_of_the_price_table_is_understood():
    assert [find(word).name for word in ("google", "aws", "x-ai", "voyageai")] == [  # type: ignore[union-attr]
        "gemini",
        "bedrock",
        "xai",
        "voyage",
    ]
    assert (price_id("vertex"), price_id("groq"), price_id("my-own")) == (
        "google",
        "groq",
        "my-own",
    )


def test_a_providers_regions_are_its_own():
    hosts = ("us-east-1.api.x.ai", "eu.api.openai.com")
    assert [of_host(host) for host in hosts] == [find("xai"), find("openai")]


@pytest.mark.parametrize(
    "host",
    ["evil-api.openai.com.example", "xopenai.azure.com", "127.0.0.1", "localhost", "x.execute-api.eu.amazonaws.com", "bedrock-runtime.amazonaws.com.example", ""],
)  # fmt: skip
def test_other_hosts_are_nobodys_own(host: str):
    assert of_host(host) is None


def test_model_servers_of_ones_own_are_not_billed():
    assert {"ollama", "vllm", "llama.cpp", "llama_cpp", "lmstudio"} <= SELF_HOSTED
    assert "groq" not in SELF_HOSTED
    assert providers.SELF_HOSTED is SELF_HOSTED


def rows() -> dict[str, list[str]]:
    """Read the table of the user's page."""
    cells = [
        [cell.strip().strip("`") for cell in line.strip("|").split("|")]
        for line in PAGE.splitlines()
        if line.startswith("| `")
    ]
    return {row[0]: row[1:] for row in cells}


def described(each: Provider) -> list[str]:
    behind = f"http://127.0.0.1:4141/{each.name}"
    name, _, path = each.own.partition("=")
    return [
        each.url.partition("://")[2] or "yours",
        "-" if each.base is None else behind + each.base,
        f"{name}={behind}{path}" if name else "-",
        "asked for" if each.stream_usage == "inject" else "sent anyway",
    ]


def test_the_users_page_says_what_to_set_for_each_provider():
    assert rows() == {each.name: described(each) for each in PROVIDERS}
