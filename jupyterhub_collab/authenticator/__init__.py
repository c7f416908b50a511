"""Where the Hub meets the core: who logs in, and which identity groups they are in."""
