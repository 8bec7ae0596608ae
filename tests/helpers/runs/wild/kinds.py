"""The kinds of runs: what agents do over time.

What lives here: one function a kind; each is what one agent, or one crew, does. What does not: how a step goes (`agents.py`).
"""

import json
from collections.abc import Callable
from dataclasses import replace

from tests.helpers.runs.wild.agents import TASKS, Agent
from tests.helpers.runs.wild.said import Message, remembered, user
from tests.helpers.runs.wild.world import Await, Fork, Rest, Work

Kind = Callable[[Agent], Work]


def loop(a: Agent) -> Work:
    """A loop with tools, and user turns."""
    for _ in range(a.words.randint(1, 3)):
        yield from a.turn(a.words.randint(2, 7))


def long(a: Agent) -> Work:
    yield from a.turn(199)


def chat(a: Agent) -> Work:
    """Text alone, and users who say little."""
    a.history.append(user(a.words.choice(["hi", "Hello", *TASKS])))
    yield from a.step(a.answer())
    for _ in range(a.words.randint(3, 8)):
        a.history.append(user(a.words.choice(["ok", "yes", "continue", "thanks", a.text(3, 9)])))  # fmt: skip
        yield from a.step(a.answer())


def many_calls(a: Agent) -> Work:
    """Several calls in an answer; their results come in any order."""
    a.history.append(user(a.words.choice(TASKS)))
    for _ in range(6):
        answer = yield from a.step(a.answer(calls=a.words.randint(1, 4)))
        before = len(a.history)
        a.results(answer)
        tail = a.history[before:]
        if a.family.ids != "-":
            a.words.shuffle(tail)
        a.history[before:] = tail
    yield from a.step(a.answer())


def ok_results(a: Agent) -> Work:
    """Every result is the same in all runs."""
    a.history.append(user(f"Watch job {a.ids.randint(1, 10**9)} until it is done."))
    for _ in range(8):
        answer = yield from a.step(a.answer(calls=1, text=""))
        a.results(answer, lambda: a.words.choice(["ok", "pending", ""]))
    yield from a.step(a.answer(text="Done."))


def json_mode(a: Agent) -> Work:
    """The model answers JSON text, and the framework calls tools by it."""
    a.tools = ()
    a.history.append(user(a.words.choice(TASKS)))
    for _ in range(7):
        said = json.dumps({"thought": a.text(3, 9), "action": "search", "input": {"q": a.text(1, 4)}})  # fmt: skip
        yield from a.step(a.answer(text=said))
        a.history.append(user(f"Result of search: {a.found()}"))
    yield from a.step(a.answer(text=json.dumps({"final": a.text(5, 9)})))


def images(a: Agent) -> Work:
    """Screenshots come with each turn."""
    a.history.append(user(a.words.choice(TASKS)))
    for _ in range(6):
        answer = yield from a.step(a.answer(calls=1))
        a.results(answer)
        a.history.append(user("The screen:", a.ids.randbytes(40)))
    yield from a.step(a.answer())


def idle(a: Agent) -> Work:
    """People who think for long."""
    for _ in range(4):
        yield from a.turn(2, a.text(3, 8))
        yield Rest(a.ids.randint(300, 1700))


def retries(a: Agent) -> Work:
    """Failures of every sort, with and without an SDK's header."""
    a.history.append(user(f"{a.words.choice(TASKS)} It is ticket {a.ids.randint(1, 10**9)}."))  # fmt: skip
    for _ in range(8):
        failures = a.words.choices([500, 529, 0, 429, -1], k=a.words.choice([0, 0, 1, 2]))  # fmt: skip
        answer = yield from a.failing(a.answer(calls=1), failures, sdk=a.words.random() < 0.5)  # fmt: skip
        a.results(answer)
    yield from a.step(a.answer())


def storm(a: Agent) -> Work:
    """All agents begin with the same words on connections of their own, and many first calls fail."""
    a.ports, a.system = "own", ""
    a.history.append(user(TASKS[0]))
    failures = a.words.choices([500, 529, 429], k=a.words.choice([0, 1, 2]))
    answer = yield from a.failing(a.answer(calls=1), failures, sdk=a.words.random() < 0.5)  # fmt: skip
    for _ in range(5):
        a.results(answer)
        answer = yield from a.step(a.answer(calls=1))


# Systems and prompts that change.


def clock(a: Agent) -> Work:
    """The system prompt has the time and what was remembered of the user; it is another one with each step."""
    a.history.append(user(a.words.choice(TASKS)))
    base = a.system
    for number in range(8):
        a.system = f"Today is 2026-03-01T12:{number:02}:31Z.\n{base}\nMemories:\n- {a.text(3, 9)}"  # fmt: skip
        answer = yield from a.step(a.answer(calls=1))
        a.results(answer)
    yield from a.step(a.answer())


def reminders(a: Agent) -> Work:
    """The framework adds to the last message what is gone from it in the next request."""
    a.history.append(user(a.words.choice(TASKS)))
    for number in range(9):
        last = a.history[-1]
        note = f"\n<system-reminder>It is 12:{number:02}:09. Todo: {a.text(3, 6)}</system-reminder>"  # fmt: skip
        if a.words.random() < 0.5 or not last.call:
            sent = [*a.history[:-1], replace(last, text=last.text + note)]
        else:
            sent = [*a.history, user(note.strip())]
        answer = yield from a.step(a.answer(calls=1), sent)
        a.results(answer)
    yield from a.step(a.answer())


def dated_task(a: Agent) -> Work:
    """The first user message has an environment that is another one with each step (Cline, Cursor)."""
    task = a.words.choice(TASKS)
    a.history.append(user(task))
    for number in range(9):
        first = user(f"{task}\n\n<environment_details>\nTime: 12:{number:02}:44\nOpen files: {a.text(2, 4)}\n</environment_details>")  # fmt: skip
        answer = yield from a.step(a.answer(calls=1), [first, *a.history[1:]])
        a.results(answer)
    yield from a.step(a.answer(), [a.history[0], *a.history[1:]])


def handoff(a: Agent) -> Work:
    """Other agents go on with the same history under prompts and tools of their own."""
    yield from a.turn(2)
    for name in ("billing", "refunds", "triage"):
        a.system, a.tools = f"You are the {name} agent.", (f"{name}_lookup", "transfer_back")  # fmt: skip
        yield from a.turn(2, a.text(3, 9))


# Histories that are cut.


def _groups(messages: list[Message]) -> list[list[Message]]:
    """Split where an assistant begins to speak, so that no result is without its call."""
    found: list[list[Message]] = []
    for each in messages:
        if each.role in ("assistant", "user") or not found:
            found.append([])
        found[-1].append(each)
    return found


def _last(messages: list[Message], count: int) -> list[Message]:
    return [each for group in _groups(messages)[-count:] for each in group]


def window_of_task(a: Agent) -> Work:
    """The task and the last steps."""
    a.history.append(user(a.words.choice(TASKS)))
    for _ in range(25):
        sent = a.history[:1] + _last(a.history[1:], 4)
        answer = yield from a.step(a.answer(calls=1), sent)
        a.results(answer)
    yield from a.step(a.answer(), a.history[:1] + _last(a.history[1:], 4))


def window_of_steps(a: Agent) -> Work:
    """The last steps alone."""
    a.history.append(user(a.words.choice(TASKS)))
    for _ in range(25):
        answer = yield from a.step(a.answer(calls=1), _last(a.history, 4))
        a.results(answer)
    yield from a.step(a.answer(), _last(a.history, 4))


def window_of_chat(a: Agent) -> Work:
    """The last four turns of a chat; it always begins with a user."""
    for _ in range(20):
        a.history.append(user(a.text(3, 12)))
        yield from a.step(a.answer(), a.history[-7:])


def oldest_pair(a: Agent) -> Work:
    """A budget of words: the oldest pairs go when it is full."""
    for _ in range(15):
        a.history.append(user(a.text(3, 12)))
        while sum(len(each.text) for each in a.history) > 900:
            del a.history[:2]
        yield from a.step(a.answer())


def turn_memory(a: Agent) -> Work:
    """Of earlier turns only questions and answers are kept."""
    for _ in range(4):
        kept = list(a.history)
        yield from a.turn(a.words.randint(1, 4), a.text(4, 9))
        a.history = [*kept, a.history[len(kept)], a.history[-1]]


def elided(a: Agent) -> Work:
    """Old results are left out, or cut."""
    a.history.append(user(a.words.choice(TASKS)))
    for number in range(14):
        sent = []
        for at, each in enumerate(a.history):
            if each.call and at < len(a.history) - 4:
                short = each.text[:40] + " [cut]" if number % 2 and len(each.text) > 50 else "[Old result]"  # fmt: skip
                each = replace(each, text=short)
            sent.append(each)
        answer = yield from a.step(a.answer(calls=1), sent)
        a.results(answer)
    yield from a.step(a.answer())


def _summary(a: Agent) -> str:
    return "\n".join(f"{n}. {a.text(8, 16)}" for n in range(1, 6))


def compaction(a: Agent) -> Work:
    """The model is asked for a summary in the conversation; the next one begins with it."""
    yield from a.turn(5)
    for keep in (0, 0, 2):
        a.history.append(user("Your task is to create a detailed summary of the conversation so far."))  # fmt: skip
        answer = a.answer(text=_summary(a))
        yield from a.step(answer, list(a.history), tools=())
        kept = _last(a.history[:-2], keep) if keep else []
        a.history = [user(f"This session is being continued from a previous conversation. Summary:\n{answer.text}"), *kept]  # fmt: skip
        if not kept:
            a.history.append(user("Please continue."))
        yield from _go_on(a, 5)


def compaction_aside(a: Agent) -> Work:
    """A call of its own, with the conversation as text, makes the summary; the newest messages stay."""
    yield from a.turn(5)
    for _ in range(2):
        answer = a.answer(text=_summary(a))
        told = "\n".join(f"{each.role}: {each.text}" for each in a.history)
        request = [user(f"Extract the most important context:\n{told}")]
        yield from a.step(answer, request, system="", tools=(), run="", chain="", remember=False)  # fmt: skip
        a.history = [user(f"Here is a summary of the conversation to date:\n\n{answer.text}"), *_last(a.history, 3)]  # fmt: skip
        yield from _go_on(a, 5)


def compaction_by_framework(a: Agent) -> Work:
    """Nobody asks a model: old steps are replaced by a line made here; the newest messages stay."""
    yield from a.turn(6)
    for _ in range(2):
        a.history = [user(f"Previously: {a.text(5, 9)}"), *_last(a.history, 3)]
        yield from _go_on(a, 6)


def _go_on(a: Agent, steps: int) -> Work:
    if a.history[-1].role == "assistant":
        a.history.append(user(a.text(3, 9)))
    for _ in range(steps):
        answer = yield from a.step(a.answer(calls=1))
        a.results(answer)
    yield from a.step(a.answer())


# Text instead of tools.


def react(a: Agent) -> Work:
    """Thought, Action, Observation; observations are user messages."""
    a.tools = ()
    a.history.append(user(a.words.choice(TASKS)))
    for _ in range(9):
        said = (
            f"Thought: {a.text(3, 9)}\nAction: search\nAction Input: {a.text(1, 4)}\n"
        )
        yield from a.step(a.answer(text=said))
        a.history.append(user(f"Observation: {a.found()}"))
    yield from a.step(a.answer(text=f"Thought: I know.\nFinal Answer: {a.text(3, 9)}"))


def react_prompt(a: Agent) -> Work:
    """One prompt that grows; what the model said stands in it with the observations."""
    a.tools = ()
    head = f"Answer the question with these tools: search, read.\nQuestion: {a.words.choice(TASKS)}\n"  # fmt: skip
    pad = "Thought:"
    for _ in range(9):
        said = f" {a.text(3, 9)}\nAction: search\nAction Input: {a.text(1, 4)}\n"
        yield from a.step(a.answer(text=said), [user(head + pad)], remember=False)
        pad += f"{said if not a.habit.strip else said.rstrip()}\nObservation: {a.found()}\nThought:"  # fmt: skip
    yield from a.step(a.answer(text=f" Done.\nFinal Answer: {a.text(3, 9)}"), [user(head + pad)], remember=False)  # fmt: skip


def react_task_last(a: Agent) -> Work:
    """The prompt has the scratchpad in its middle: instructions stand behind it."""
    a.tools = ()
    head, tail = f"Question: {a.words.choice(TASKS)}\nSo far:\n", "\nNow give the next action as JSON."  # fmt: skip
    pad = ""
    for _ in range(8):
        said = json.dumps({"thought": a.text(4, 9), "action": a.text(3, 5)})
        yield from a.step(
            a.answer(text=said), [user(head + pad + tail)], remember=False
        )
        pad += f"{said}\nObservation: {a.found()}\n"
    yield from a.step(a.answer(), [user(head + pad + tail)], remember=False)


def code_agent(a: Agent) -> Work:
    """Code in text, observations as users, and a plan now and then."""
    a.tools = ()
    a.history.append(user(f"New task:\n{a.words.choice(TASKS)}"))
    for number in range(8):
        if number % 4 == 0:
            ask = user("Write a plan for the next steps.")
            answer = yield from a.step(a.answer(text=f"{_summary(a)}\n<end_plan>"), [*a.history, ask], remember=False)  # fmt: skip
            a.history += [remembered(answer, a.habit, a.ids), user("Now proceed and carry out this plan.")]  # fmt: skip
        code = f"Thought: {a.text(3, 8)}\n<code>\nprint(search({a.text(1, 3)!r}))\n"
        answer = yield from a.step(a.answer(text=code), remember=False)
        a.history.append(Message("assistant", answer.text + "</code>"))
        a.history.append(user(f"Observation:\nExecution logs:\n{a.found()}\nLast output from code snippet:\nNone"))  # fmt: skip
    yield from a.step(a.answer())


# More than one.


def branch(a: Agent) -> Work:
    """Two continuations of one call; the first to come goes on, the others are branches."""
    yield from a.turn(3)
    others = [a.branched("branch") for _ in range(2)]
    yield from a.turn(3, a.text(4, 8))
    for other in others:
        yield Fork(other.turn(3, other.text(4, 8)))


def edit(a: Agent) -> Work:
    """A user goes back and says something else."""
    yield from a.turn(1, a.text(4, 8))
    other = a.branched("edit")
    yield from a.turn(2, a.text(4, 8))
    yield from other.turn(2, other.text(4, 8))
    yield from other.turn(1, other.text(4, 8))


def regenerate(a: Agent) -> Work:
    """The same request after a success, for another answer; where it belongs is anybody's guess, but what follows stays together."""
    yield from a.turn(2)
    a.history.append(user(a.text(4, 8)))
    before = len(a.history)
    yield from a.step(a.answer())
    del a.history[before:]
    yield from a.step(a.answer(), run="", chain="")
    a.run = a.chain = f"{a.name}/again"
    yield from a.turn(3, a.text(4, 8))


def subagents(a: Agent) -> Work:
    """A tool is another agent, whose task stands in the call; two at a time."""
    a.history.append(user(a.words.choice(TASKS)))
    answer = yield from a.step(a.answer(calls=2))
    done: list[str] = []

    def works(call_text: str) -> Work:
        other = a.also("sub")
        other.system = "You are a search specialist."
        yield from other.turn(3, call_text)
        done.append(other.history[-1].text)

    for call in answer.calls:
        yield Fork(works(str(call.args["q"]) + a.text(8, 12)))
    yield Await(lambda: len(done) == len(answer.calls))
    a.results(answer, done.pop)
    yield from _go_on(a, 2)


def crew(a: Agent) -> Work:
    """Agents one after another, each with the results so far pasted into its task."""
    context = ""
    for role in ("Researcher", "Analyst", "Writer"):
        other = a.also(role, run=a.name)
        other.system = f"You are {role}. Your personal goal is: do it well."
        task = f"\nCurrent Task: {other.text(6, 12)}\n\nThis is the context you're working with:\n{context}"  # fmt: skip
        yield from other.turn(a.words.randint(0, 3), task, last=other.text(14, 40))
        context += f"\n\n----------\n\n{other.history[-1].text.strip()}"


def pipeline(a: Agent) -> Work:
    """A document goes through four calls; earlier results are pasted as text."""
    a.tools = ()
    document = "\n".join(a.text(10, 30) for _ in range(6))
    facts = {"facts": [a.text(4, 9) for _ in range(4)], "amount": a.ids.randint(10, 10**6)}  # fmt: skip
    yield from _stage(a, "Extract the facts as JSON.", document, json.dumps(facts))
    pasted = json.dumps(facts, indent=2) if a.words.random() < 0.5 else json.dumps(facts)  # fmt: skip
    kind = f"This is an invoice, because {a.text(8, 14)}"
    yield from _stage(a, "Classify.", pasted, kind)
    draft = a.text(30, 60)
    yield from _stage(a, "Draft a reply.", f"Facts: {pasted}\nClass: {kind}", draft)
    yield from _stage(a, "Review this draft; say OK or what is wrong.", f"DRAFT:\n{draft}", "OK")  # fmt: skip


def _stage(a: Agent, system: str, text: str, said: str) -> Work:
    yield from a.step(a.answer(text=said), [user(text)], system=system, remember=False)


def titles(a: Agent) -> Work:
    """Beside the chat a small call makes a title of it."""
    a.history.append(user(a.text(4, 9)))
    yield from a.step(a.answer())
    told = "\n".join(f"{each.role}: {each.text}" for each in a.history)
    yield from a.step(a.answer(text="A title"), [user(f"Make a title for this chat:\n{told}")], system="", tools=(), run="", chain="", remember=False)  # fmt: skip
    yield from a.turn(3, a.text(4, 9))


STORED = ("loop", "chat", "many_calls", "ok_results", "images", "idle", "retries", "handoff")  # fmt: skip
"""What can be done with a conversation that the provider keeps."""
SINGLE: dict[str, Kind] = {each.__name__: each for each in (loop, chat, many_calls, ok_results, images, idle, retries, clock, handoff, json_mode, code_agent)}  # fmt: skip
"""Single-agent loops whose requests extend each other."""
OTHERS: dict[str, Kind] = {
    each.__name__: each
    for each in (reminders, dated_task, window_of_task, window_of_steps, window_of_chat, oldest_pair, turn_memory, elided, compaction,
                 compaction_aside, compaction_by_framework, storm, react, react_prompt, react_task_last, branch, edit, regenerate,
                 subagents, crew, pipeline, titles)
}  # fmt: skip
KINDS = SINGLE | OTHERS
