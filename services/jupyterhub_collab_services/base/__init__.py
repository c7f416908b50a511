"""What all services share: who asks, how errors look, routes, OpenAPI, the process itself."""
