"""A real Kubernetes for tests: the control plane alone within seconds, or a whole node with pods of its own."""
