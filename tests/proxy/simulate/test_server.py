"""The provider starts and stops in an event loop."""

import asyncio

from proxy.simulate.engine import Settings
from proxy.simulate.server import Provider
from tests.helpers.simulated import asking, call, path_of


async def test_it_listens_between_start_and_stop():
    provider = Provider(Settings(seed=1))
    await provider.start()
    said = await asyncio.to_thread(
        call, provider.url, path_of("gemini"), asking("gemini", "Hi")
    )
    assert said.status == 200
    await provider.stop()
    await provider.stop()
    refused = await asyncio.gather(
        asyncio.open_connection("127.0.0.1", int(provider.url.rpartition(":")[2])),
        return_exceptions=True,
    )
    assert isinstance(refused[0], OSError)


async def test_stopping_does_not_wait_for_what_hangs():
    async with Provider() as provider:
        body = asking("openai_chat", "<<plan: hang>>")
        asked = asyncio.to_thread(call, provider.url, path_of("openai_chat"), body)
        waiting = asyncio.gather(asked, return_exceptions=True)
        while not provider.seen:
            await asyncio.wait([waiting], timeout=0.01)
        await provider.stop()
        assert isinstance((await waiting)[0], Exception)


async def test_ids_of_two_providers_with_one_seed_differ():
    one, other = Provider(), Provider()
    assert one.engine.next_id() != other.engine.next_id()


def test_addresses_of_the_sixth_version_are_bracketed():
    assert Provider(host="::1", port=4).url == "http://[::1]:4"
