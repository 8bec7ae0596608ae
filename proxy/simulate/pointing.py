"""How agents are pointed at a simulated provider.

What lives here: the text that says it. What does not: reading the environment, which is the agents' matter.
"""


def variables(url: str) -> dict[str, str]:
    """Give the variables that SDKs and frameworks read; any key will do."""
    return {
        "OPENAI_BASE_URL": f"{url}/v1",
        "OPENAI_API_KEY": "sk-simulated",
        "ANTHROPIC_BASE_URL": url,
        "ANTHROPIC_API_KEY": "sk-ant-simulated",
        "GOOGLE_GEMINI_BASE_URL": url,
        "GEMINI_API_KEY": "simulated",
    }


def pointing(url: str) -> str:
    """Say how SDKs are pointed at this address."""
    lines = [f"export {name}={value}" for name, value in variables(url).items()]
    example = '<<plan: call search {"q": "tea"} | say The answer is $last. >>'
    return "\n".join(
        [
            f"A simulated provider of OpenAI, Anthropic and Gemini answers at {url}. Point agents at it:",
            *lines,
            f"Put a plan into the prompt to say what the model does: {example}",
            "The language of plans: python -m pydoc proxy.simulate.plan",
            "",
        ]
    )
