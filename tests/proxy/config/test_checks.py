import re
from pathlib import Path

import msgspec
import pytest

from proxy.config import Settings, load
from proxy.config.checks import numbers
from proxy.errors import SettingsError

EXAMPLE = Path(__file__).parents[3] / "tachograph.example.yaml"
CLIENTS = "clients: {a: {key_env: K}}\n"


def loaded(tmp_path, text: str) -> Settings:
    path = tmp_path / "tacho.yaml"
    path.write_text(text, encoding="utf-8")
    return load(str(path), {})


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("listen: nowhere", ["listen: is 'nowhere'", "HOST:PORT"]),
        ("listen: 0.0.0.0:4141", ["listen", "0.0.0.0:4141", "clients:"]),
        ("listen: '[::]:4141'", ["listen", "clients:"]),
        ("admin: {listen: 0.0.0.0:4142}", ["admin.listen", "TACHO_ADMIN_TOKEN"]),
        (
            "store: {listen: 0.0.0.0:4143, read_token: r}",
            ["store.listen", "TACHO_STORE_WRITE_TOKEN"],
        ),
        ("store: {listen: 127.0.0.1:4141}", ["store.listen", "listen has this one"]),
        ("admin: {token: 'a b'}", ["admin.token", "not shown", "printable ASCII"]),
        (
            "store: {read_token: same, write_token: same}",
            ["store.write_token", "another one"],
        ),
        ("secret: short", ["secret", "not shown", "at least 16"]),
        ("{workers: 257, state: 'redis://h'}", ["workers: is 257", "at most 256"]),
        ("workers: 0", ["workers: is 0", "positive"]),
        ("state: disk", ["state: is 'disk'", "memory", "redis://"]),
        ("state: redis://u:s3cret@", ["state: is (not shown)", "with a host"]),
        ("tenant: ''", ["tenant: is ''"]),
        ("tenant: a/b", ["tenant: is 'a/b'"]),
        ('agent: "a\\e[31m"', ["agent: is", "printable"]),
        ("data_dir: ''", ["data_dir: is ''"]),
        ("agents: {rename: {a: ''}}", ["agents.rename.a: is ''", "printable"]),
        ("runs: {idle_seconds: 0}", ["runs.idle_seconds: is 0", "positive"]),
        ("runs: {max_live: 0}", ["runs.max_live: is 0", "positive"]),
        ("runs: {idle: 5}", ["runs", "idle"]),
        (
            "timeouts: {idle_seconds: .nan}",
            ["timeouts.idle_seconds: is nan", "a positive number"],
        ),
        ("timeouts: {idle_seconds: .inf}", ["timeouts.idle_seconds: is inf"]),
        (
            "timeouts: {drain_seconds: -1}",
            ["timeouts.drain_seconds: is -1", "zero or a positive number"],
        ),
        ("limits: {max_inflight: 0}", ["limits.max_inflight: is 0"]),
        (
            "routes: {x: {url: http://x, idle_timeout_seconds: 0}}",
            ["routes.x.idle_timeout_seconds: is 0"],
        ),
        (
            "limits: {request_buffers_total_bytes: 5}",
            ["limits.request_buffer_bytes", "at most"],
        ),
        ("spool: {max_bytes: 5}", ["spool.segment_bytes", "at most"]),
        (
            "exporters: {clickhouse: {url: 'http://u:s3cret@h'}}",
            ["exporters.clickhouse.url: is 'h'"],
        ),
        (
            "exporters: {clickhouse: {database: 'a; DROP'}}",
            ["exporters.clickhouse.database", "SQL name"],
        ),
        ("exporters: {clickhouse: {cluster: 'a b'}}", ["exporters.clickhouse.cluster"]),
        ("egress_proxy: https://p:1", ["egress_proxy", "http://HOST:PORT"]),
        ("egress_proxy: http://u:s3cret@p", ["egress_proxy", "not shown"]),
        ("egress_proxy: http://", ["egress_proxy"]),
        ("ca_file: /nowhere/ca.pem", ["ca_file: is '/nowhere/ca.pem'", "can be read"]),
        ("listen_tls: {cert_file: '', key_file: ''}", ["listen_tls.cert_file"]),
        (
            "routes: {x: {url: http://x, ca_file: /dev/null}}",
            ["routes.x.ca_file", "a PEM file"],
        ),
        ("routes: {run: {url: http://x}}", ["routes.run", "reserved"]),
        ("routes: {Up: {url: http://x}}", ["routes.Up", "lowercase"]),
        ("routes: {x: {url: ftp://x}}", ["routes.x.url: is 'ftp://x'", "http://HOST"]),
        (
            "routes: {x: {url: 'http://u:s3cret@x/?key=s3cret'}}",
            ["routes.x.url: is 'x/'", "without user and password"],
        ),
        (
            "routes: {x: {url: http://x, provider: A B}}",
            ["routes.x.provider: is 'A B'"],
        ),
        (
            "routes: {x: {url: http://x, upstream_key_env: sk-s3cret}}",
            ["routes.x.upstream_key_env", "not the key itself"],
        ),
        (
            "routes: {x: {url: http://x, sign: aws, aws: {region: US East}}}",
            ["routes.x.aws.region: is 'US East'"],
        ),
        (
            "routes: {x: {url: http://x, sign: aws, aws: {secret_access_key_env: s3/cret}}}",
            ["routes.x.aws.secret_access_key_env", "not the key itself"],
        ),
        (
            "routes: {x: {url: http://x, aws: {region: us-east-1}}}",
            ["routes.x.aws: is for routes that sign; set routes.x.sign to aws"],
        ),
        (
            "routes: {x: {url: http://x, sign: gcp}}",
            ["routes.x.sign: is 'gcp'", "one of aws"],
        ),
        (
            "default_route: nowhere",
            ["default_route: is 'nowhere'", "openai, anthropic"],
        ),
        ("clients: {a b: {key_env: K}}", ["clients.a b"]),
        (
            "clients: {a: {key_env: sk-s3cret}}",
            ["clients.a.key_env", "not the key itself"],
        ),
        ("clients: {a: {key_env: K, tenant: a/b}}", ["clients.a.tenant: is 'a/b'"]),
        ("clients: {a: {key_env: K, agent: '" + "x" * 129 + "'}}", ["clients.a.agent"]),
        (
            "clients: {a: {key_env: K, routes: [x]}}",
            ["clients.a.routes: is 'x'", "routes that exist"],
        ),
    ],
)
def test_settings_that_cannot_work_name_key_value_and_remedy(tmp_path, text, parts):
    with pytest.raises(SettingsError) as refused:
        loaded(tmp_path, text)
    message = str(refused.value)
    assert all(part in message for part in parts), message
    assert "s3cret" not in message
    assert "\n" not in message
    assert "\x1b" not in message


@pytest.mark.parametrize(
    "text",
    [
        CLIENTS + "listen: 0.0.0.0:4141",
        "listen: 127.0.0.1:0\nadmin: {listen: 127.0.0.1:0}\nstore: {listen: 127.0.0.1:0}",
        "admin: {listen: 0.0.0.0:4142, token: t}",
        "store: {listen: 0.0.0.0:4143, read_token: r, write_token: w}",
        "timeouts: {drain_seconds: 0}\nspool: {wait_ms: 0, min_free_bytes: 0}",
        "unpriced: {input_usd_per_mtok: 0, output_usd_per_mtok: 0}",
        "exporters: {clickhouse: {url: 'https://ch:8443', cluster: main}}",
        "exporters: {clickhouse: {url: ''}}",
        "egress_proxy: http://user:pass@proxy.internal:3128/",
        "secret: 0123456789abcdef",
        "default_route: openai",
        CLIENTS.replace("K", "K, routes: [openai], may_set: [tenant, agent]"),
    ],
)
def test_settings_that_can_work_are_taken(tmp_path, text):
    loaded(tmp_path, text)


def test_pem_files_are_taken(tmp_path):
    pem = tmp_path / "x.pem"
    pem.write_text("-----BEGIN CERTIFICATE-----\n")
    settings = loaded(
        tmp_path, f"ca_file: {pem}\nlisten_tls: {{cert_file: {pem}, key_file: {pem}}}"
    )
    assert settings.listen_tls is not None


def test_the_example_loads_and_shows_the_defaults():
    settings, defaults = load(str(EXAMPLE), {}), load(None, {})
    assert set(settings.routes) > set(defaults.routes)
    assert msgspec.structs.replace(settings, routes=defaults.routes) == defaults


def test_the_example_shows_each_number():
    text = EXAMPLE.read_text(encoding="utf-8")
    for key, _ in numbers(Settings()):
        assert re.search(rf"\b{key.rpartition('.')[2]}:", text), key


@pytest.mark.parametrize("state", ["memory", "redis://h"])
def test_policies_may_enforce_whoever_keeps_the_state(tmp_path, state: str):
    text = f"policies: {{caps: {{mode: enforce}}}}\nstate: {state}"
    assert loaded(tmp_path, text).policies.caps.mode == "enforce"


def test_repr_hides_secrets(tmp_path):
    settings = loaded(
        tmp_path,
        "secret: s3cret-s3cret-s3cret\negress_proxy: http://u:s3cret@p:1\n"
        "admin: {token: s3cret}\nstore: {read_token: s3cret, write_token: s3cret2}\n"
        "exporters: {clickhouse: {password: s3cret}}",
    )
    assert "s3cret" not in repr(settings)
    assert "(hidden)" in repr(settings)
