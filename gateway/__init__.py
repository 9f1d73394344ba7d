"""Feedback Gateway: streams answers of LLM providers, traces each, and takes what users think of them."""

__version__ = "0.1.0"
