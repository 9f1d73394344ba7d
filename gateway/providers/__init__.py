"""Who answers: each provider feeds bytes of OpenAI's chat format to a sink; the router picks among them."""
