"""The official SDKs, told by nothing but the variables: each asks for its provider's own path behind route and run."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from proxy.cli.base_urls import Place, child_environment
from tests.helpers.base_urls import ROUTES
from tests.helpers.processes import environ

pytestmark = pytest.mark.timeout(90)

MESSAGES = '[{"role": "user", "content": "Hi."}]'
SDKS = {
    "openai": (
        f"import openai; openai.OpenAI(max_retries=0).chat.completions.create(model='m', messages={MESSAGES})",
        "/openai/v1/chat/completions",
    ),
    "anthropic": (
        f"import anthropic; anthropic.Anthropic(max_retries=0).messages.create(model='m', max_tokens=1, messages={MESSAGES})",
        "/anthropic/v1/messages",
    ),
    "groq": (
        f"import groq; groq.Groq(max_retries=0).chat.completions.create(model='m', messages={MESSAGES})",
        "/groq/openai/v1/chat/completions",
    ),
    "cohere": (
        f"import cohere; cohere.ClientV2('k').chat(model='m', messages={MESSAGES}, request_options={{'max_retries': 0}})",
        "/cohere/v2/chat",
    ),
    "ollama": (
        f"import ollama; ollama.chat(model='m', messages={MESSAGES})",
        "/ollama/api/chat",
    ),
    "google": (
        "from google import genai; c = genai.Client(api_key='k'); c.models.generate_content(model='m', contents='Hi.')",
        "/gemini/v1/models/m:generateContent",
    ),
    "azure": (
        f"import openai; openai.AzureOpenAI(api_version='v', max_retries=0).chat.completions.create(model='m', messages={MESSAGES})",
        "/azure/openai/deployments/m/chat/completions",
    ),
    "bedrock": (
        "import boto3; boto3.client('bedrock-runtime', region_name='eu-west-1').converse("
        "modelId='m', messages=[{'role': 'user', 'content': [{'text': 'Hi.'}]}])",
        "/bedrock/model/m/converse",
    ),
}
KEYS = {
    "OPENAI_API_KEY": "k",
    "ANTHROPIC_API_KEY": "k",
    "GROQ_API_KEY": "k",
    "AZURE_OPENAI_API_KEY": "k",
    "AWS_ACCESS_KEY_ID": "k",
    "AWS_SECRET_ACCESS_KEY": "k",
}


@pytest.fixture
def asked() -> Iterator[tuple[str, list[str]]]:
    """A server that refuses everything, and the paths that it was asked for."""
    paths: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            paths.append(self.path.partition("?")[0])
            self.send_response(400)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}", paths
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(("script", "path"), SDKS.values(), ids=SDKS)
def test_an_sdk_asks_for_its_own_path(
    script: str, path: str, asked: tuple[str, list[str]]
):
    url, paths = asked
    said = child_environment(Place(url, "R1", "booker"), ROUTES, {}, {}).variables
    del said["TACHO_RUN"], said["TACHO_AGENT"]
    subprocess.run(
        [sys.executable, "-c", script],
        env=environ(**KEYS, **said),
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert paths[:1] == [f"/agent/booker/run/R1{path}"]
