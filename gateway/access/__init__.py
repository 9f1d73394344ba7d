"""Who calls and what they may: keys, tokens, tickets, origins, addresses and limits."""
