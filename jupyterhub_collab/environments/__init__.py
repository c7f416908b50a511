"""The catalogue that operators declare: environments, resource classes and data volumes, each with who may use it."""
