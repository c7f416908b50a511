"""Persons and the identity groups that they are in."""
