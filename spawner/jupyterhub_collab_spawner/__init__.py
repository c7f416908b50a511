"""What runs in the Hub: two thin spawners that follow the core's server plan, and the enforcement of what was granted."""
