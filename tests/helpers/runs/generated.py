"""Long runs of every kind, made from a seed, with the truth beside them.

Each kind is a generator of calls. It is told nothing: what it sends depends on what it was answered only, as an agent's requests do.
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from tests.helpers.runs.families import HAS_IDS, Prompt, Said, body

TOOLS = ("search", "read_file", "calculate", "send_mail")
WORDS = ["invoice", "the", "of", "weather", "total", "customer", "is", "and", "report", "in", "a", "list", "result",
         "for", "order", "status", "file", "was", "found", "value", "open", "with", "price", "north", "river"]  # fmt: skip


@dataclass(frozen=True)
class Made:
    """One call and what becomes of it."""

    run: str
    """The truth."""
    whole: str
    """The job that it is part of: to join its runs by what they quote is no mistake."""
    kind: str
    body: bytes
    text: str = ""
    calls: tuple[tuple[str, str, dict[str, Any]], ...] = ()
    response_id: str = ""
    state: str = "done"
    hints: tuple[tuple[str, Any], ...] = ()
    layer: str = ""
    """Who repeats the call before with it."""


class Agent:
    """What one run knows."""

    def __init__(self, family: str, kind: str, name: str, seed: int, steps: int) -> None:  # fmt: skip
        self.dice = random.Random(f"{seed} {name}")
        self.family, self.kind, self.name, self.steps = family, kind, name, steps
        self.system = "You are a research assistant that answers with tools."
        self.said: list[Said] = []
        self.previous = ""
        self.sent = 0
        """How much of `said` the provider has (`previous_response_id`)."""

    def words(self, count: int) -> str:
        return " ".join(self.dice.choices(WORDS, k=count))

    def user(self, text: str) -> None:
        self.said.append(Said("user", text))

    def call(self, said: list[Said] | None = None, run: str = "", **made: Any) -> Made:
        """Send the conversation (or what is left of it), and note the answer."""
        by_id = self.family == "responses_ids" and said is None
        sent = self.said[self.sent :] if by_id and self.previous else said or self.said
        prompt = Prompt(tuple(sent), self.system, self.previous if by_id else "",
                        self.kind == "cached", {"temperature": 0.5})  # fmt: skip
        answer = made.pop("answer", None) or self.answer()
        response_id = f"resp_{self.dice.getrandbits(64):016x}"
        text = f"<think>{answer.thought}</think>{answer.text}" if answer.thought and self.family == "chat" else answer.text  # fmt: skip
        call = Made(run or self.name, self.name.split("/")[0], self.kind, body(self.family, prompt),
                    text, answer.calls, response_id, **made)  # fmt: skip
        if call.state == "done":
            self.previous, self.sent = response_id, len(self.said) + 1
            self.said.append(answer)
        return call

    def answer(self) -> Said:
        """Give what a model says: mostly calls, the same words again and again."""
        count = self.dice.choice((1, 1, 1, 2))
        calls = tuple((self.call_id(), self.dice.choice(TOOLS), {"q": self.words(3), "n": self.dice.randrange(9)}) for _ in range(count))  # fmt: skip
        thought = self.words(12) if self.kind == "thinking" else ""
        return Said("answer", self.dice.choice(("", "Let me look.", self.words(9))), calls, thought=thought)  # fmt: skip

    def call_id(self) -> str:
        return f"call_{self.dice.getrandbits(80):020x}" if self.family in HAS_IDS else ""  # fmt: skip

    def results(self) -> None:
        for call_id, name, _ in self.said[-1].calls:
            self.said.append(Said("result", self.words(20), call_id=call_id, name=name))


def plain(agent: Agent) -> Iterator[Made]:
    """Every now and then the user speaks."""
    agent.user(agent.words(12))
    for step in range(agent.steps):
        yield agent.call()
        agent.results()
        if step % 40 == 39:
            agent.user(agent.words(8))


def identical(agent: Agent) -> Iterator[Made]:
    """Begins as the others of its kind do."""
    agent.user("Find the report of the north and send it to the customer.")
    yield from _loop(agent)


def _loop(agent: Agent) -> Iterator[Made]:
    for _ in range(agent.steps):
        yield agent.call()
        agent.results()


def clock(agent: Agent) -> Iterator[Made]:
    """Tells the time, in the system prompt and in the first message."""
    first = agent.words(9)
    agent.user(first)
    for step in range(agent.steps):
        now = f"2026-11-22 10:{step // 60:02}:{step % 60:02}"
        agent.system = f"You help. It is {now}."
        agent.said[0] = Said("user", f"{first}\nNow: {now}")
        yield agent.call()
        agent.results()


def thinking(agent: Agent) -> Iterator[Made]:
    """Sends the thoughts of the newest answer only."""
    agent.user(agent.words(12))
    for _ in range(agent.steps):
        yield agent.call([*(replace(each, thought="") for each in agent.said[:-2]), *agent.said[-2:]])  # fmt: skip
        agent.results()


def rewritten(agent: Agent) -> Iterator[Made]:
    """Gives all calls ids of its own, others each time."""
    agent.user(agent.words(12))
    for step in range(agent.steps):
        yield agent.call([_renamed(each, step) for each in agent.said])
        agent.results()


def _renamed(said: Said, step: int) -> Said:
    calls = tuple((f"own_{step}_{call_id[-12:]}", name, args) for call_id, name, args in said.calls)  # fmt: skip
    return replace(said, calls=calls, call_id=said.call_id and f"own_{step}_{said.call_id[-12:]}")  # fmt: skip


def window(agent: Agent) -> Iterator[Made]:
    """Keeps the newest messages only."""
    agent.user(agent.words(12))
    for _ in range(agent.steps):
        start = max(0, len(agent.said) - 14)
        while start and agent.said[start].role == "result":
            start += 1
        yield agent.call(agent.said[start:])
        agent.results()


def elided(agent: Agent) -> Iterator[Made]:
    """Cuts old observations."""
    agent.user(agent.words(12))
    for _ in range(agent.steps):
        old = [replace(each, text="(elided)") if each.role == "result" else each for each in agent.said[:-6]]  # fmt: skip
        yield agent.call([*old, *agent.said[-6:]])
        agent.results()


def compacted(agent: Agent) -> Iterator[Made]:
    """Has its own summary made, and goes on from it."""
    agent.user(agent.words(12))
    for step in range(agent.steps):
        if step % 50 == 49:
            agent.user("Summarise all of the above.")
            summary = ". ".join(agent.words(14) for _ in range(6))
            yield agent.call(answer=Said("answer", summary))
            agent.said = [Said("user", f"What was done so far:\n{summary}\nGo on.")]
            agent.previous, agent.sent = "", 0
        yield agent.call()
        agent.results()


def react(agent: Agent) -> Iterator[Made]:
    """Calls tools in plain text."""
    agent.user(agent.words(12))
    for _ in range(agent.steps):
        yield agent.call(answer=Said("answer", _thought(agent)))
        agent.user(f"Observation: {agent.words(15)}")


def growing(agent: Agent) -> Iterator[Made]:
    """Writes everything into one prompt."""
    prompt = f"Answer with Thought, Action and Action Input.\n\nQuestion: {agent.words(9)}\nThought:"
    for _ in range(agent.steps):
        thought = _thought(agent)
        yield agent.call([Said("user", prompt)], answer=Said("answer", thought))
        prompt += f" {thought}\nObservation: {agent.words(12)}\nThought:"


def _thought(agent: Agent) -> str:
    return f"I should look for the {agent.words(4)}.\nAction: search\nAction Input: {agent.words(3)}"  # fmt: skip


def branches(agent: Agent) -> Iterator[Made]:
    """Goes on twice from one call: the second is a run of its own."""
    agent.user(agent.words(12))
    loop = _loop(agent)
    for _ in range(agent.steps // 3):
        yield next(loop)
    other = Agent(agent.family, agent.kind, f"{agent.name}/branch", 1, 0)
    other.said, other.previous, other.sent = list(agent.said), agent.previous, agent.sent  # fmt: skip
    other.said[-1] = replace(other.said[-1], text="A result that the other did not see.")  # fmt: skip
    yield next(loop)
    for _ in range(agent.steps // 3):
        yield other.call()
        other.results()
        yield next(loop)


def crew(agent: Agent) -> Iterator[Made]:
    """Hands what was found to the next agent, whose conversation is another one."""
    found = ""
    for member in range(4):
        agent.said, agent.previous, agent.sent = [], "", 0
        agent.system = f"You are member {member}."
        agent.user(f"{agent.words(10)}\n{found}")
        run = f"{agent.name}/{member}"
        for _ in range(agent.steps // 8):
            yield agent.call(run=run)
            agent.results()
        found = ". ".join(agent.words(11) for _ in range(3))
        yield agent.call(run=run, answer=Said("answer", found))


def retried(agent: Agent) -> Iterator[Made]:
    """Fails often; its SDK tries again, then itself, with the same bytes or with others."""
    agent.user(agent.words(12))
    for _ in range(agent.steps):
        attempts = agent.dice.choice((0, 0, 1, 2))
        if attempts:
            failed = agent.call(state="failed")
            yield failed
            for _ in range(attempts - 1):
                yield replace(failed, hints=(("is_retry", True),), layer="sdk")
        again = attempts > 0 and agent.dice.random() < 0.5
        agent.system += "" if again or not attempts else " Please."
        yield agent.call(layer="app" if again else "")
        agent.results()


def pipeline(agent: Agent) -> Iterator[Made]:
    """Four calls a document, each with the results so far pasted as text."""
    document = agent.words(60)
    results: list[str] = []
    for stage in ("Classify", "Extract", "Summarise", "Check"):
        pasted = "\n".join(f"Result {n}: {each}" for n, each in enumerate(results))
        agent.said, agent.previous, agent.sent = [], "", 0
        agent.user(f"{stage} this document:\n{document}\n{pasted}")
        results.append(". ".join(agent.words(10) for _ in range(2)) + ".")
        yield agent.call(answer=Said("answer", results[-1]))


KINDS: dict[str, Callable[[Agent], Iterator[Made]]] = {
    "plain": plain, "identical": identical, "clock": clock, "cached": plain, "thinking": thinking,
    "rewritten": rewritten, "window": window, "elided": elided, "compacted": compacted, "react": react,
    "growing": growing, "branches": branches, "crew": crew, "retried": retried, "pipeline": pipeline,
}  # fmt: skip


def interleaved(
    family: str, seed: int, runs: int, steps: int, kinds: tuple[str, ...] = tuple(KINDS)
) -> Iterator[Made]:
    """Give the calls of many runs, one of each at random."""
    dice = random.Random(seed)
    going = []
    for number in range(runs):
        kind = kinds[number % len(kinds)]
        agent = Agent(family, kind, f"{kind}-{number}", seed, steps)
        going.append(KINDS[kind](agent))
    while going:
        chosen = dice.randrange(len(going))
        try:
            yield next(going[chosen])
        except StopIteration:
            going.pop(chosen)
