"""Projects: what they are, who is in, who is invited and who asks."""
