"""Who may do what: roles, the permission table, and the one place that decides."""
