"""Servers: the plan of what one start is allowed, what was granted, and what is no longer allowed."""
