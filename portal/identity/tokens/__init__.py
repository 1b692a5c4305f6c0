"""What a browser, a program or a shop shows after it was let in: sessions, refresh tokens, API keys."""
