"""What runs in the Hub: spawners that follow the core's server plan, and enforcement of what was granted."""
