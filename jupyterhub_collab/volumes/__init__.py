"""Places for files, and how a server sees them."""
