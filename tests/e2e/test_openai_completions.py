"""The official Python client's legacy completions through the gateway, over replies of real chat providers."""

from __future__ import annotations

import openai
import pytest

RECORDED = ["openai-text", "groq-text", "mistral-text", "ollama-text", "gemini-compat", "vllm-continuous-usage"]


@pytest.mark.parametrize("model", RECORDED)
def test_a_stream_says_what_the_chat_says(client: openai.OpenAI, model: str) -> None:
    """In the types of the client, to its end."""
    with client.chat.completions.create(
        model=model, messages=[{"role": "user", "content": "Hi"}], stream=True
    ) as chunks:
        wanted = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    with client.completions.create(model=model, prompt="Hi", stream=True) as texts:
        streamed = [text for text in texts if text.choices]
    assert "".join(text.choices[0].text for text in streamed) == wanted
    assert (streamed[-1].object, streamed[-1].choices[0].finish_reason) == ("text_completion", "stop")


@pytest.mark.parametrize("model", ["openai-text", "ollama-text", "openai-n2"])
def test_a_whole_answer_says_what_the_chat_says(client: openai.OpenAI, model: str) -> None:
    """Every choice, and the usage."""
    chat = client.chat.completions.create(model=model, messages=[{"role": "user", "content": "Hi"}])
    whole = client.completions.create(model=model, prompt="Hi", max_tokens=50)
    assert [choice.text for choice in whole.choices] == [choice.message.content for choice in chat.choices]
    assert (whole.object, whole.usage) == ("text_completion", chat.usage)


def test_the_client_checks_a_model(client: openai.OpenAI) -> None:
    """One that is there, and one that isn't."""
    assert client.models.retrieve("openai-text").id == "openai-text"
    with pytest.raises(openai.NotFoundError, match="no model"):
        client.models.retrieve("org/nobody")
